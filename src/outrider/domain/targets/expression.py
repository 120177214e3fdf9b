"""The tree of a target expression, and how it is written."""

from typing import Final

import msgspec

from outrider.domain.connection_states import HostStatus
from outrider.domain.ids import AgentId, has_shape
from outrider.domain.targets.globs import has_wildcard

KEYWORDS: Final = frozenset({"all", "and", "or", "not"})
ENDS_A_WORD: Final = frozenset(" \t\r\n(),\"'")
#: What nobody means as part of a name: other languages' operators, and what is kept for later.
_NOT_BARE: Final = frozenset(":=!&|^$<>;~\\")


class Everyone(msgspec.Struct, frozen=True, tag=True):
    """`all`: every host."""


class Id(msgspec.Struct, frozen=True, tag=True):
    """One agent by its id."""

    agent_id: AgentId


class Name(msgspec.Struct, frozen=True, tag=True):
    """Hosts whose label or hostname is this, without regard to case."""

    text: str


class NameGlob(msgspec.Struct, frozen=True, tag=True):
    """Hosts whose label or hostname fits this glob."""

    glob: str


class Tagged(msgspec.Struct, frozen=True, tag=True):
    """Hosts with this tag in its stored form: a word, or NAME=value."""

    tag: str


class TagPattern(msgspec.Struct, frozen=True, tag=True):
    """Hosts whose value of the tag `name` fits a regular expression as a whole; ^ and $ belong to it."""

    name: str
    pattern: str


class InGroup(msgspec.Struct, frozen=True, tag=True):
    """Members of the group of this name."""

    name: str


class Os(msgspec.Struct, frozen=True, tag=True):
    """Hosts whose family of systems is this, or whose system's name begins with these words."""

    text: str


class Standing(msgspec.Struct, frozen=True, tag=True):
    """Hosts of this status."""

    status: HostStatus


class Not(msgspec.Struct, frozen=True, tag=True):
    """Hosts that do not fit."""

    operand: "Expression"


class And(msgspec.Struct, frozen=True, tag=True):
    """Hosts that fit all; two or more operands."""

    operands: tuple["Expression", ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """Hosts that fit any; two or more operands."""

    operands: tuple["Expression", ...]


Term = Everyone | Id | Name | NameGlob | Tagged | TagPattern | InGroup | Os | Standing
Expression = Term | Not | And | Or


def terms(expression: Expression) -> list[Term]:
    """List the terms from left to right, each once."""
    found: dict[Term, None] = {}
    waiting = [expression]
    while waiting:
        match waiting.pop():
            case Not(operand):
                waiting.append(operand)
            case And(operands) | Or(operands):
                waiting.extend(reversed(operands))
            case term:
                found[term] = None
    return list(found)


def asks_for_unapproved(expression: Expression) -> bool:
    """Tell whether the expression names hosts that are not approved: all others are about approved ones."""
    unapproved = (HostStatus.PENDING, HostStatus.DECLINED)
    return any(isinstance(term, Standing) and term.status in unapproved for term in terms(expression))


def write(expression: Expression) -> str:
    """Write an expression so that parsing gives it back."""
    match expression:
        case Not(operand):
            return f"not {_inside(operand, And, Or)}"
        case And(operands):
            return " and ".join(_inside(each, And, Or) for each in operands)
        case Or(operands):
            return " or ".join(_inside(each, Or) for each in operands)
        case term:
            return write_term(term)


def _inside(expression: Expression, *wrapped: type[And | Or]) -> str:
    text = write(expression)
    return f"({text})" if isinstance(expression, wrapped) else text


def write_term(term: Term) -> str:  # noqa: PLR0911 (one for each kind)
    """Write one term."""
    match term:
        case Everyone():
            return "all"
        case Id(agent_id):
            return agent_id
        case Name(text):
            return text if is_bare_name(text) else quoted(text)
        case NameGlob(glob):
            return glob
        case Tagged(tag):
            name, equals, value = tag.partition("=")
            return f"tag:{name}{equals}{_value(value) if equals else ''}"
        case TagPattern(name, pattern):
            return f"tag:{name}={pattern}"
        case InGroup(name):
            return f"group:{_value(name)}"
        case Os(text):
            return f"os:{_value(text)}"
        case Standing(status):
            return f"status:{status.value}"


def is_bare_name(text: str) -> bool:
    """Tell whether a name needs no quotes."""
    return (
        bool(text)
        and ENDS_A_WORD.isdisjoint(text)
        and _NOT_BARE.isdisjoint(text)
        and not has_wildcard(text)
        and text.isprintable()
        and text.casefold() not in KEYWORDS
        and not has_shape(text, "agent_")
    )


def quoted(text: str) -> str:
    """Put a text into quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _value(text: str) -> str:
    bare = text and ENDS_A_WORD.isdisjoint(text) and _PATTERN_MARKS.isdisjoint(text)
    return text if bare and not has_wildcard(text) else quoted(text)


_PATTERN_MARKS: Final = frozenset("^$")
