"""The streams on which this host is looked at as it is now: its processes, its services."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from outrider.agent.policy import PolicyFile
from outrider.domain.errors import Forbidden, LinkFault
from outrider.domain.looks import MAX_LOOK
from outrider.engines.commands.listing import Listed
from outrider.protocol.look_stream import Look
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.streams import WINDOW

Answers = Callable[[str, Mapping[str, Any]], Awaitable[Listed]]


class LookStream:
    """Serves the streams of one kind, by the readings of the command type of that name."""

    window: Final = WINDOW

    def __init__(self, kind: str, answers: Answers, policy: PolicyFile, *, runs_as: str) -> None:
        """`answers` looks as a type does; `runs_as` is the user who looks."""
        self.ability = kind
        self._answers = answers
        self._policy = policy
        self._runs_as = runs_as

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Answer one look. Raises what `answers` raises, `Forbidden`, `LinkFault` for an unfit request."""
        try:
            wanted = msgspec.msgpack.decode(request, type=Look)
        except msgspec.DecodeError as error:
            raise LinkFault(f"A request to look at {self.ability} does not fit: {error}.") from None
        # What a command of this type may not tell is not told without one either.
        if refusal := self._policy.current().refusal(self.ability, wanted.params, self._runs_as):
            raise Forbidden(refusal)
        listed = await self._answers(self.ability, wanted.params)
        await stream.send(listed.told(MAX_LOOK))
