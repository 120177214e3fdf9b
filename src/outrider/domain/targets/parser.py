"""Reading target expressions.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | list
    list        = primary { "," primary }
    primary     = "(" expression ")" | term
    term        = "all" | id | name | glob | "tag:" tag | "group:" name | "os:" text | "status:" word

A comma binds tightest: it joins a list that stands for one thing, so that `tag:web and not db1,db2` leaves
out both. Words of the language are taken in capitals too; quotes make any text a name.
"""

from collections.abc import Callable
from typing import Final

from outrider.domain.connection_states import HostStatus
from outrider.domain.errors import Invalid
from outrider.domain.ids import AgentId, has_shape
from outrider.domain.tags import parse_tag
from outrider.domain.targets.errors import InvalidTarget
from outrider.domain.targets.expression import (
    ENDS_A_WORD,
    And,
    Everyone,
    Expression,
    Id,
    InGroup,
    Name,
    NameGlob,
    Not,
    Or,
    Os,
    Standing,
    Tagged,
    TagPattern,
    is_bare_name,
    quoted,
)
from outrider.domain.targets.globs import MalformedGlob, has_wildcard, parse_glob
from outrider.kit.nearest import nearest

MAX_LENGTH: Final = 65_536
"""Characters of an expression: two thousand ids fit."""
MAX_DEPTH: Final = 32
"""How deeply `not` and parentheses may be nested."""
MAX_TERMS: Final = 128
"""How many terms that are not plain ids or names."""
MAX_PARTS: Final = 256
"""How many conditions: operators and terms; the ids and names of one list are one lookup."""
MAX_NAME: Final = 255

_PREFIXES: Final = ("tag", "group", "os", "status")
_TERM: Final = ("all", "a name", "tag:", "group:", "os:", "status:", "not", "(")
_AFTER: Final = ("and", "or", ",", "the end")
_OPERATORS: Final = {"&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "+": "or"}


def parse(text: str) -> Expression:
    """Read an expression. Raises `InvalidTarget`, whatever the text; takes time in line with its length."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._terms = 0

    def whole(self) -> Expression:
        if len(self._text) > MAX_LENGTH:
            reason = (
                f"A target has at most {MAX_LENGTH:,} characters; put the hosts into a group or tag them."
            )
            raise InvalidTarget(reason, self._text, position=MAX_LENGTH, expected=("the end",))
        for position, character in enumerate(self._text):
            if not character.isprintable() and character not in "\t\r\n":
                raise self._fault("This character can't be printed.", position)
        expression = self._expression()
        if self._at < len(self._text):
            raise self._unexpected()
        if _conditions(expression) > MAX_PARTS:
            reason = (
                f"More than {MAX_PARTS} conditions; join names by commas (`not a,b,c`), or put the hosts"
                " into a group."
            )
            raise self._fault(reason, 0, len(self._text))
        return expression

    # --- the grammar, loosest first

    def _expression(self) -> Expression:
        operands = self._joined("or", lambda: self._joined("and", self._negation, And), Or)
        self._skip_space()
        return operands

    def _joined(self, word: str, operand: Callable[[], Expression], kind: type[And | Or]) -> Expression:
        found = [operand()]
        while self._keyword(word):
            found.append(operand())
        return found[0] if len(found) == 1 else kind(tuple(found))

    def _negation(self) -> Expression:
        start = self._at
        if not self._keyword("not"):
            return self._list()
        self._enter(start)
        operand = self._negation()
        self._depth -= 1
        return Not(operand)

    def _list(self) -> Expression:
        found = [self._primary()]
        self._skip_space()
        while self._text.startswith(",", self._at):
            self._at += 1
            found.append(self._primary())
            self._skip_space()
        return found[0] if len(found) == 1 else Or(tuple(found))

    def _primary(self) -> Expression:
        self._skip_space()
        start = self._at
        if not self._text.startswith("(", start):
            return self._term()
        self._enter(start)
        self._at += 1
        inside = self._expression()
        if not self._text.startswith(")", self._at):
            if self._at < len(self._text):
                raise self._unexpected(")")
            raise self._fault("This ( is never closed; add a ).", start, expected=(")",))
        self._at += 1
        self._depth -= 1
        return inside

    def _enter(self, position: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            reason = f"Parentheses and `not` are nested more than {MAX_DEPTH} deep; write it simpler."
            raise self._fault(reason, position)

    # --- words

    def _skip_space(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _word_end(self, start: int) -> int:
        end = start
        while end < len(self._text) and self._text[end] not in ENDS_A_WORD and not self._text[end].isspace():
            end += 1
        return end

    def _keyword(self, word: str) -> bool:
        self._skip_space()
        end = self._word_end(self._at)
        if self._text[self._at : end].casefold() != word:
            return False
        self._at = end
        return True

    def _unexpected(self, *expected: str) -> InvalidTarget:
        """Make the error for what stands where an expression could only go on or end."""
        end = self._word_end(self._at)
        found = self._text[self._at : end] or self._text[self._at]
        if found == ")":
            return self._fault("This ) closes nothing; remove it.", self._at, expected=_AFTER)
        meant = _OPERATORS.get(found) or nearest(found, ("and", "or"))
        reason = (
            f"{_shown(found)} is not an operator; did you mean `{meant}`?"
            if meant
            else f"Two terms follow each other; put `and`, `or` or a comma before {_shown(found)}."
        )
        return self._fault(reason, self._at, len(found), expected=(*expected, *_AFTER))

    def _fault(
        self, reason: str, position: int, length: int = 1, expected: tuple[str, ...] = ()
    ) -> InvalidTarget:
        return InvalidTarget(reason, self._text, position=position, length=length, expected=expected)

    # --- terms

    def _term(self) -> Expression:
        start = self._at
        if start == len(self._text):
            reason = (
                "A target is missing here; name hosts, tags or groups, or write `all`."
                if self._text.strip()
                else "The target is empty; name hosts, tags or groups, or write `all` for every host."
            )
            raise self._fault(reason, start, expected=_TERM)
        character = self._text[start]
        if character in "\"'":
            return Name(self._quoted("name"))
        if character in "),":
            before = "nothing stands before it"
            raise self._fault(f"A term is missing: {before}.", start, expected=_TERM)
        end = self._word_end(start)
        word = self._text[start:end]
        if ":" in word:
            return self._prefixed(word)
        self._at = end
        self._refuse_quote(end)
        return self._bare(word, start)

    def _bare(self, word: str, start: int) -> Expression:
        folded = word.casefold()
        if folded == "all":
            return Everyone()
        if folded in ("and", "or", "not"):
            reason = f"`{folded}` stands where a term should; a host of that name is written in quotes."
            raise self._fault(reason, start, len(word), expected=_TERM)
        if has_shape(word, "agent_"):
            return Id(AgentId(word))
        if has_wildcard(word):
            return self._glob(word, start)
        if not is_bare_name(word):
            raise self._not_a_name(word, start)
        self._check_length(word, start)
        return Name(word)

    def _glob(self, word: str, start: int) -> NameGlob:
        self._count(start)
        self._check_length(word, start)
        try:
            parse_glob(word)
        except MalformedGlob as error:
            raise self._fault(error.detail, start + error.offset) from None
        without = "".join(each for each in word if each not in "*?[]^!")
        if without and not is_bare_name(without) and not has_shape(without, "agent_"):
            raise self._not_a_name(word, start)
        return NameGlob(word)

    def _not_a_name(self, word: str, start: int) -> InvalidTarget:
        if word.startswith("!"):
            return self._fault("Write `not` instead of `!`.", start, expected=_TERM)
        if word in _OPERATORS:
            reason = f"`{_OPERATORS[word]}` is the word for {word}; and a term is missing before it."
            return self._fault(reason, start, len(word), expected=_TERM)
        if "=" in word:
            return self._fault(
                f"A tag is written with its prefix: tag:{word[:80]}", start, len(word), expected=("tag:",)
            )
        reason = f"A name with such characters is written in quotes: {quoted(word[:80])}"
        return self._fault(reason, start, len(word), expected=_TERM)

    def _prefixed(self, word: str) -> Expression:
        start = self._at
        prefix, _, rest = word.partition(":")
        known = prefix.casefold()
        if known not in _PREFIXES:
            meant = nearest(prefix, _PREFIXES)
            hint = (
                f"did you mean `{meant}:`?"
                if meant
                else "there are tag:, group:, os: and status:. "
                f"A name with a colon is written in quotes: {quoted(word[:80])}"
            )
            raise self._fault(
                f"There is no prefix {_shown(prefix)}; {hint}",
                start,
                len(prefix) + 1,
                expected=tuple(f"{each}:" for each in _PREFIXES),
            )
        self._count(start)
        self._at = start + len(prefix) + 1
        match known:
            case "tag":
                return self._tag(rest)
            case "group":
                return InGroup(self._value("a group's name"))
            case "os":
                return Os(self._value("a system's name"))
            case _:
                return self._status(rest)

    def _tag(self, rest: str) -> Expression:
        start = self._at
        name, equals, value = rest.partition("=")
        if equals and value.startswith("^"):
            self._at += len(name) + 1
            pattern = self._pattern()
            stored = self._stored_tag(f"{name}=", start, len(name))
            return TagPattern(stored.removesuffix("="), pattern)
        if equals:
            self._at += len(name) + 1
            value = self._value("a tag's value", may_be_empty=True)
            return Tagged(self._stored_tag(f"{name}={value}", start, self._at - start))
        if not rest:
            quoted_tag = self._value("a tag")
            return Tagged(self._stored_tag(quoted_tag, start, self._at - start))
        self._at += len(rest)
        self._refuse_quote(self._at)
        if has_wildcard(rest):
            reason = "Wildcards are for names of hosts; a tag's value takes a pattern: tag:NAME=^web-.*$"
            raise self._fault(reason, start, len(rest), expected=("a tag",))
        return Tagged(self._stored_tag(rest, start, len(rest)))

    def _stored_tag(self, tag: str, position: int, length: int) -> str:
        try:
            return parse_tag(tag)
        except Invalid as error:
            raise self._fault(error.detail, position, length, expected=("a tag",)) from None

    def _status(self, rest: str) -> Standing:
        start = self._at
        words = [status.value for status in HostStatus]
        self._at += len(rest)
        try:
            return Standing(HostStatus(rest.casefold()))
        except ValueError:
            meant = nearest(rest, words)
            hint = f"did you mean `{meant}`?" if meant else f"it is one of {', '.join(words)}."
            reason = f"{_shown(rest)} is not a status; {hint}"
            raise self._fault(reason, start, len(rest), expected=tuple(words)) from None

    # --- values

    def _value(self, what: str, *, may_be_empty: bool = False) -> str:
        start = self._at
        if self._text[start : start + 1] in ('"', "'"):
            return self._quoted(what, may_be_empty=may_be_empty)
        end = self._word_end(start)
        word = self._text[start:end]
        if not word and not may_be_empty:
            raise self._fault(f"Here {what} is missing, right after the colon.", start, expected=(what,))
        if word.startswith("^") or word.endswith("$"):
            reason = f"Only a tag's value takes a pattern, from ^ to $; else quote it: {quoted(word[:80])}"
            raise self._fault(reason, start, len(word), expected=(what,))
        if has_wildcard(word):
            reason = f"Wildcards are for names of hosts; to mean these characters, write {quoted(word[:80])}"
            raise self._fault(reason, start, len(word), expected=(what,))
        self._check_length(word, start)
        self._at = end
        self._refuse_quote(end)
        return word

    def _quoted(self, what: str, *, may_be_empty: bool = False) -> str:
        start = self._at
        mark = self._text[start]
        content: list[str] = []
        at = start + 1
        while at < len(self._text) and self._text[at] != mark:
            at += self._text[at] == "\\"
            content.append(self._text[at : at + 1])
            at += 1
        if at >= len(self._text):
            raise self._fault(f"This {mark} is never closed.", start, expected=(mark,))
        text = "".join(content)
        if not text.isprintable():
            raise self._fault("A line can't end within quotes.", start, at + 1 - start)
        if not text and not may_be_empty:
            raise self._fault(f"Between these quotes, {what} is missing.", start, 2, expected=(what,))
        self._check_length(text, start)
        self._at = at + 1
        end = self._word_end(self._at)
        if end > self._at:
            raise self._fault(
                "A space is missing after the closing quote.", self._at, end - self._at, expected=_AFTER
            )
        return text

    def _pattern(self) -> str:
        """Read from ^ to the $ that ends a word outside of brackets; the center judges what is between."""
        start = self._at
        depth, at, in_set = 0, start, False
        while at < len(self._text) and not self._text[at].isspace():
            character = self._text[at]
            at += 1
            match character:
                case "\\":
                    at += 1
                case "[":
                    in_set = True
                case "]":
                    in_set = False
                case "(" if not in_set:
                    depth += 1
                case ")" if not in_set:
                    depth -= 1
                case "$" if not in_set and depth <= 0 and self._ends_here(at):
                    pattern = self._text[start:at]
                    self._check_length(pattern, start)
                    self._at = at
                    return pattern
                case _:
                    pass
        reason = (
            r"A pattern goes from ^ to $ without a space (write \s); to mean the ^ itself, quote the value."
        )
        raise self._fault(reason, start, min(at, len(self._text)) - start, expected=("$",))

    def _ends_here(self, at: int) -> bool:
        return at == len(self._text) or self._text[at] in ")," or self._text[at].isspace()

    def _refuse_quote(self, at: int) -> None:
        if at < len(self._text) and self._text[at] in "\"'":
            raise self._fault(
                "A quote in the middle of a word; put the whole name in quotes.", at, expected=_AFTER
            )

    def _check_length(self, text: str, position: int) -> None:
        if len(text) > MAX_NAME:
            raise self._fault(f"A name has at most {MAX_NAME} characters.", position, len(text))

    def _count(self, position: int) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            reason = f"More than {MAX_TERMS} terms that are not plain names; put the hosts into a group."
            raise self._fault(reason, position)


def _conditions(expression: Expression) -> int:
    """Count what a database has to ask of each host. Nesting is bounded, and so is this."""
    match expression:
        case Not(operand):
            return 1 + _conditions(operand)
        case And(operands):
            return 1 + sum(map(_conditions, operands))
        case Or(operands):
            return 1 + sum(_conditions(each) for each in operands if not isinstance(each, Id | Name))
        case _:
            return 1


def _shown(word: str) -> str:
    return f"`{word[:80]}`"
