"""Dispatches to a fleet of real processes, and what their commands leave behind on the hosts."""

import random
import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.acceptance.fleet import Fleet, Host

_BEGUN: Final = "begun"
_ENDED: Final = "ended"
_PAGE: Final = 1000


class Trail:
    """A file to which each command of a dispatch appends a line when it begins, and another when it ends.

    Appended lines are in one order, whichever host they come from: it tells who was at work at once.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def line(self, seconds: float, exit_code: int) -> str:
        """Return a shell line that takes that long and leaves its trail."""
        note = f'echo "%s $OUTRIDER_COMMAND_ID" >> {self._file}'
        return f"{note % _BEGUN}; sleep {seconds}; {note % _ENDED}; exit {exit_code}"

    def begun(self) -> Counter[str]:
        """Return how often each command has begun."""
        return self._count(_BEGUN)

    def ended(self) -> Counter[str]:
        """Return how often each command has come to its end by itself."""
        return self._count(_ENDED)

    def most_at_once(self) -> int:
        """Return how many were at work at once, at the most; what was ended from outside is not counted."""
        ended = self.ended()
        now = most = 0
        for word, command_id in self._words():
            if command_id in ended:
                now += 1 if word == _BEGUN else -1
            most = max(most, now)
        return most

    def _count(self, wanted: str) -> Counter[str]:
        return Counter(command_id for word, command_id in self._words() if word == wanted)

    def _words(self) -> list[tuple[str, str]]:
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [(word, command_id) for word, command_id in (line.split() for line in lines)]


class Dispatched:
    """A dispatch to all hosts of a fleet."""

    def __init__(self, fleet: Fleet, hosts: Sequence[Host], *, seconds: float, exit_code: int = 0) -> None:
        self.trail = Trail(fleet.folder / f"dispatch-{secrets.token_hex(4)}.trail")
        self.id = ""
        self.limit = 0
        self._fleet = fleet
        self._hosts = hosts
        self._line = self.trail.line(seconds, exit_code)

    async def begin(self, concurrency: int, **changes: Any) -> None:
        """Begin it, once however often the center has to be asked."""
        self.limit = concurrency
        body: dict[str, Any] = {"target": "all", "type": "shell", "params": {"command": self._line}}
        body |= {"concurrency": concurrency, **changes}
        key = {"Idempotency-Key": secrets.token_hex(8)}
        self.id = (await self._fleet.api.call("POST", "/dispatches", body, **key))["id"]

    async def assert_kept(self, *verdicts: str) -> Counter[str]:
        """Wait until it ends by itself and check what holds for every dispatch; return its commands' ends.

        Each host has one command that came to one end, what ran did so once, and never more at once than
        was allowed.
        """
        await self._fleet.journal.until_kind(self.id, "dispatch.finished")
        shown = await self._fleet.api.call("GET", f"/dispatches/{self.id}")
        assert shown["state"] in verdicts, shown
        path = f"/dispatches/{self.id}/commands?limit={_PAGE}"
        commands = (await self._fleet.api.call("GET", path))["commands"]
        assert sorted(each["agent_id"] for each in commands) == sorted(h.agent_id for h in self._hosts), shown
        assert (shown["total"], shown["held"], shown["gone"]) == (len(self._hosts), 0, 0)
        begun, ended = self.trail.begun(), self.trail.ended()
        assert begun.keys() <= {each["id"] for each in commands}
        for each in commands:
            ending = each["status"]
            assert self._fleet.journal.endings(each["id"]) == [ending], each
            # What was interrupted may have been on its way to its process, or have run on without its agent.
            times = (0, 1) if ending == "interrupted" else (0,) if ending == "cancelled" else (1,)
            assert begun[each["id"]] in times, each
            assert ending == "interrupted" or ended[each["id"]] == begun[each["id"]], each
        ends = Counter(each["status"] for each in commands)
        assert ends == shown["counts"]
        assert self.trail.most_at_once() <= self.limit
        assert self._fleet.journal.kinds[self.id].count("dispatch.finished") == 1
        return ends


def some_seconds(rng: random.Random) -> float:
    """Choose how long a command takes."""
    return round(rng.uniform(0.02, 0.3), 2)
