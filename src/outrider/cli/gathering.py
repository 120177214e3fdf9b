"""What many hosts said, gathered: which of them said the same, and which did not succeed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outrider.client import Command

KEPT: Final = 64 * 1024
"""How many characters of an output are kept to be shown; what comes after still tells outputs apart."""


@dataclass(slots=True)
class _Said:
    """What one host has said so far."""

    label: str
    kept: list[str] = field(default_factory=list)
    length: int = 0
    digest: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def add(self, stream: str, text: str) -> None:
        self.digest.update(stream.encode() + b"\0" + text.encode("utf-8", "surrogatepass"))
        if self.length < KEPT:
            self.kept.append(text[: KEPT - self.length])
        self.length += len(text)


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that said the same and ended alike. `text` is the beginning of `length` characters."""

    labels: list[str]
    text: str
    length: int
    status: str
    exit_code: int | None


class Gathering:
    """Takes in what hosts say, and groups those that said the same.

    Its memory is bounded by what differs: of equal outputs one is kept, and of a long one its beginning.
    """

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._open: dict[str, _Said] = {}
        self._groups: dict[tuple[bytes, str, int | None], Group] = {}

    def hear(self, agent_id: str, label: str, stream: str, text: str) -> None:
        """Take in a piece of a host's output; pieces of one stream come in their order."""
        said = self._open.get(agent_id)
        if said is None:
            said = self._open[agent_id] = _Said(label)
        said.add(stream, text)

    def has_heard(self, agent_id: str) -> bool:
        """Tell whether this host has said anything that is not ended yet."""
        return agent_id in self._open

    def end(self, agent_id: str, label: str, status: str, exit_code: int | None) -> None:
        """Take in how a host ended; nothing more comes of it."""
        said = self._open.pop(agent_id, None) or _Said(label)
        key = (said.digest.digest(), status, exit_code)
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = Group([label], "".join(said.kept), said.length, status, exit_code)
        else:
            group.labels.append(label)

    def groups(self) -> list[Group]:
        """The groups, the largest first; in each the hosts by name."""
        for group in self._groups.values():
            group.labels.sort()
        return sorted(self._groups.values(), key=lambda group: (-len(group.labels), group.labels))


def heading(group: Group) -> str:
    """The line above a group: how many hosts, whether they said anything, and how they ended."""
    count = len(group.labels)
    hosts = "1 host" if count == 1 else f"{count} hosts"
    said = "said nothing" if not group.length else "said" if count == 1 else "said the same"
    ended = "" if group.status == "succeeded" else f" ({ending(group.status, group.exit_code)})"
    return f"{hosts} {said}{ended}: {names(group.labels)}"


def names(labels: Iterable[str], *, most: int = 12) -> str:
    """Names of hosts, safe to print; of many the first ones and how many more there are."""
    all_names = [escape(label) for label in labels]
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more


def ending(status: str, exit_code: int | None, signal: int | None = None, reason: str | None = None) -> str:
    """How a command ended, in words that are safe to print."""
    if reason and status != "succeeded":
        return f"{status}: {escape(reason)}"
    if status == "failed" and exit_code is not None:
        return f"exit code {exit_code}"
    if status == "failed" and signal is not None:
        return f"ended by signal {signal}"
    return status


def failures(commands: Iterable[tuple[str, Command]]) -> list[tuple[str, str]]:
    """Of hosts by name with their commands those that did not succeed, each with why."""
    return [
        (label, ending(one.status, one.exit_code, one.signal, one.reason))
        for label, one in commands
        if one.status != "succeeded"
    ]
