"""A notice in words, and what becomes of it on its way."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from outrider.domain.alerts.outages import NoticeKind
from outrider.domain.alerts.rules import Severity
from outrider.domain.transitions import Transitions

NAMED: Final = 10
"""How many hosts a notice names."""
GIVE_UP_SECONDS: Final = 4 * 3_600.0
_FIRST_RETRY: Final = 10.0
_LONGEST_RETRY: Final = 900.0


class DeliveryState(StrEnum):
    """Where a notice stands on its way to one channel."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


DELIVERY: Final = Transitions(
    DeliveryState, {DeliveryState.WAITING: (DeliveryState.SENT, DeliveryState.GIVEN_UP)}
)


def retry_after(tries: int, *, age: float) -> float | None:
    """Say in how many seconds a delivery that failed so many times is tried again; None to give up.

    `age` is how old its notice is, in seconds.
    """
    if age >= GIVE_UP_SECONDS:
        return None
    return min(_FIRST_RETRY * 2.0 ** min(max(tries, 1) - 1, 12), _LONGEST_RETRY)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice has to say."""

    id: str
    kind: NoticeKind
    rule: str
    condition: str
    severity: Severity
    #: How many this notice is about, and the first of their names.
    count: int
    names: Sequence[str]
    #: How many fire now.
    firing: int
    #: What they are: hosts or dispatches.
    noun: str = "host"
    #: Where the center is reached; empty when that is not known.
    center: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as it is sent: plain text."""

    title: str
    body: str


_HEADS: Final = {
    NoticeKind.FIRING: "FIRING",
    NoticeKind.REMINDER: "STILL FIRING",
    NoticeKind.RECOVERING: "RECOVERING",
    NoticeKind.RESOLVED: "RESOLVED",
    NoticeKind.TEST: "TEST",
}


def compose(facts: Facts) -> Notice:
    """Put a notice into words. What hosts call themselves is made printable, cut, and no markup of a chat."""
    many = counted(facts.count, facts.noun)
    title = f"[{_HEADS[facts.kind]}] {_clean(facts.rule)}"
    if facts.kind is NoticeKind.TEST:
        return Notice(title=title, body=f"This is a test of the channel. Notice {facts.id}.")
    if facts.count:
        title += f": {many}"
    lines = [_sentence(facts, many)]
    if facts.names:
        lines.append(listed(facts.names, facts.count))
    lines += ["", f"Rule: {_clean(facts.rule)} ({facts.condition}), {facts.severity.value}"]
    if facts.center:
        lines.append(f"Center: {facts.center}")
    lines.append(f"Notice: {facts.id}")
    return Notice(title=title, body="\n".join(lines))


def _sentence(facts: Facts, many: str) -> str:
    rest = f"{counted(facts.firing, facts.noun)} now"
    match facts.kind:
        case NoticeKind.FIRING if facts.firing > facts.count:
            return f"{many} more: {facts.condition}. Altogether {rest}."
        case NoticeKind.FIRING:
            return f"{many}: {facts.condition}."
        case NoticeKind.REMINDER:
            return f"Still {many}: {facts.condition}."
        case NoticeKind.RECOVERING:
            return f"{many} recovered. It goes on for {rest}."
        case _:
            return f"{many} recovered: all is over." if facts.count else "All is over."


def counted(count: int, noun: str) -> str:
    """Say how many, such as `1,000 hosts`."""
    plural = f"{noun}es" if noun.endswith("h") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def listed(names: Sequence[str], count: int) -> str:
    """List the first names, and how many more there are."""
    shown = [_clean(name).translate(_NO_MARKUP) for name in names[:NAMED]]
    left = count - len(shown)
    return ", ".join(shown) + (f" and {left:,} more" if left > 0 else "")


_LONGEST_NAME: Final = 80
_NO_MARKUP: Final = {ord(each): ord(each) + 0xFEE0 for each in "@<>[]`"}
"""To chats these are a mention of everybody, or a link under another name: their wide twins stand in."""


def _clean(text: str) -> str:
    kept = "".join(each if each.isprintable() else " " for each in text[: _LONGEST_NAME + 1])
    return kept if len(kept) <= _LONGEST_NAME else kept[:_LONGEST_NAME] + "…"
