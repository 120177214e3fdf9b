"""What a target means of one host: the reference that the database's answer is held to."""

from collections.abc import Callable

import msgspec

from outrider.domain.connection_states import HostStatus
from outrider.domain.ids import AgentId
from outrider.domain.targets.expression import (
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
)
from outrider.domain.targets.globs import (
    AnyText,
    Glob,
    OneOf,
    Text,
    fold,
    matches_glob,
    parse_glob,
)

Fits = Callable[[str, str], bool]
"""Tells whether a regular expression fits the whole of a value."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What a target can ask of a host."""

    id: AgentId
    label: str = ""
    hostname: str = ""
    os: str = ""
    os_family: str = ""
    status: HostStatus = HostStatus.ONLINE
    tags: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


def os_glob(text: str) -> Glob:
    """Give the glob of systems whose name goes on after the words `text`; part of a word is not enough."""
    return (Text(fold(text)), OneOf((("0", "9"), ("a", "z")), but=True), AnyText())


def matches(expression: Expression, host: Host, fits: Fits) -> bool:  # noqa: C901, PLR0911 (one for each kind)
    """Tell whether the expression means the host."""
    match expression:
        case Everyone():
            return True
        case Id(agent_id):
            return host.id == agent_id
        case Name(text):
            return fold(text) in (fold(host.label), fold(host.hostname))
        case NameGlob(text):
            glob = parse_glob(text)
            return matches_glob(glob, host.label) or matches_glob(glob, host.hostname)
        case Tagged(tag):
            return tag in host.tags
        case TagPattern(name, pattern):
            values = (tag.partition("=") for tag in host.tags)
            return any(equals and key == name and fits(pattern, value) for key, equals, value in values)
        case InGroup(name):
            return name in host.groups
        case Os(text):
            wanted = fold(text)
            return wanted in (fold(host.os_family), fold(host.os)) or matches_glob(os_glob(text), host.os)
        case Standing(status):
            return host.status is status
        case Not(operand):
            return not matches(operand, host, fits)
        case And(operands):
            return all(matches(each, host, fits) for each in operands)
        case Or(operands):
            return any(matches(each, host, fits) for each in operands)
