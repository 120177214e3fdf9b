"""One command of the center without a center: a test says what its host answers."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]


class FakeCommand:
    """One command, and the stream of what came of it."""

    def __init__(self, agent_id: str, command_id: str, body: Json) -> None:
        """Take what was asked; the command is queued."""
        self.agent_id = agent_id
        self.id = command_id
        self.asked = body
        self.status = "queued"
        self.cancelled = asyncio.Event()
        self.followed = asyncio.Event()
        #: Who else is told each event of the stream.
        self.listeners: list[Callable[[str, Json], None]] = []
        self._result: Json = {}
        self._offsets = {"stdout": 0, "stderr": 0}
        self._texts = {"stdout": "", "stderr": ""}
        self._events: list[tuple[str, Json]] = []
        self._changed = asyncio.Event()

    def say(self, stream: str, text: str) -> None:
        """Let the host write a piece of output."""
        self._tell("output", {"stream": stream, "offset": self._offsets[stream], "text": text})
        self._offsets[stream] += len(text.encode("utf-8", "surrogatepass"))
        self._texts[stream] += text

    def miss(self, stream: str, count: int) -> None:
        """Let a reader miss the next `count` bytes."""
        start = self._offsets[stream]
        self._offsets[stream] += count
        self._tell("missed", {"stream": stream, "from": start, "to": start + count})

    def become(self, status: str) -> None:
        """Come into another state that is not final."""
        self.status = status
        self._tell("state", {"status": status})

    def end(self, status: str, **facts: Any) -> None:
        """End with a final state and the command's fields that go with it, such as `exit_code`."""
        self.status = status
        self._result = facts
        self._tell("result", self.shown())

    def shown(self) -> Json:
        """The command as the API shows it."""
        return {
            "id": self.id,
            "type": self.asked["type"],
            "params": self.asked.get("params", {}),
            "status": self.status,
            "exit_code": None,
            "signal": None,
            "reason": None,
            "stdout": self._texts["stdout"],
            "stderr": self._texts["stderr"],
            "stdout_total": self._offsets["stdout"],
            "stderr_total": self._offsets["stderr"],
            "stdout_dropped": 0,
            "stderr_dropped": 0,
            "truncated": False,
            "created_by": "admin",
            "created": NOW,
            "a_field_of_tomorrow": 1,
            **self._result,
        }

    @property
    def ended(self) -> bool:
        """Whether it has come to its final state."""
        return bool(self._events) and self._events[-1][0] == "result"

    def _tell(self, event: str, data: Json) -> None:
        self._events.append((event, data))
        self._changed.set()
        for listener in self.listeners:
            listener(event, data)

    async def event_after(self, cursor: int) -> tuple[str, Json] | None:
        """The event at this place of the stream, waiting for it; None after the last."""
        while cursor >= len(self._events):
            if self.ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events[cursor]
