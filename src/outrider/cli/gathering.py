"""What many hosts said, gathered: which of them said the same, and which did not succeed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outrider.client import Command, DispatchCommand

KEPT: Final = 64 * 1024
"""How many characters of an output are kept to be shown; what comes after still tells outputs apart."""


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that said the same and ended alike. `text` is the beginning of `length` characters."""

    hosts: list[str]
    text: str
    length: int
    ended: str


class Gathering:
    """Takes in how hosts' commands ended, and groups those that said the same.

    Its memory is bounded by what differs: of equal outputs one is kept, and of a long one its beginning.
    """

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._groups: dict[tuple[bytes, str], Group] = {}

    def add(self, one: DispatchCommand) -> None:
        """Take in a command that has ended."""
        out, err = one.stdout or "", one.stderr or ""
        digest = hashlib.blake2b(digest_size=16)
        for part in (out, err):
            # With its length before it, so that no text can pass for two.
            digest.update(len(part).to_bytes(8) + part.encode("utf-8", "surrogatepass"))
        ended = "" if one.status == "succeeded" else ending(one)
        group = self._groups.get((digest.digest(), ended))
        if group is None:
            text = out + ("\n" if out and err and not out.endswith("\n") else "") + err
            group = Group([], text[:KEPT], len(text), ended)
            self._groups[digest.digest(), ended] = group
        group.hosts.append(one.host_name)

    def groups(self) -> list[Group]:
        """The groups, the largest first; in each the hosts by name."""
        for group in self._groups.values():
            group.hosts.sort()
        return sorted(self._groups.values(), key=lambda group: (-len(group.hosts), group.hosts))


def heading(group: Group) -> str:
    """The line above a group: how many hosts, whether they said anything, and how they ended."""
    count = len(group.hosts)
    hosts = "1 host" if count == 1 else f"{count} hosts"
    said = "said nothing" if not group.length else "said" if count == 1 else "said the same"
    ended = f" ({group.ended})" if group.ended else ""
    return f"{hosts} {said}{ended}: {names(group.hosts)}"


def names(hosts: Iterable[str], *, most: int = 12) -> str:
    """Names of hosts, safe to print; of many the first ones and how many more there are."""
    all_names = [escape(host) for host in hosts]
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more


def ending(one: Command) -> str:
    """How a command ended, in words that are safe to print."""
    if one.reason and one.status != "succeeded":
        return f"{one.status}: {escape(one.reason)}"
    if one.status == "failed" and one.exit_code is not None:
        return f"exit code {one.exit_code}"
    if one.status == "failed" and one.signal is not None:
        return f"ended by signal {one.signal}"
    return one.status


def failures(ends: Iterable[tuple[str, str]]) -> list[str]:
    """Lines about hosts that did not succeed: each way to end (host, ending) with its hosts, most first."""
    by_ending: dict[str, list[str]] = {}
    for host, ended in ends:
        by_ending.setdefault(ended, []).append(host)
    ways = sorted(by_ending.items(), key=lambda way: (-len(way[1]), way[0]))
    return [f"{ended}: {names(sorted(hosts))}" for ended, hosts in ways]
