"""What the parts of the agent may ask of the link, whatever carries it."""

from typing import Final, Protocol

from outrider.protocol.messages import FromAgent

LINGER: Final = 0.008
"""How long news that can wait does wait (seconds), so that a short command's whole story is one frame."""


class Voice(Protocol):
    """Says things to the center while a link is open. Nothing said is kept: the spool is what keeps."""

    @property
    def open(self) -> bool:
        """Whether what is said now has somebody to hear it."""
        ...

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be sent that bulk should hold back."""
        ...

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        """Send `message` within that many seconds, in one frame with what else waits; drop it when closed."""
        ...

    async def uncrowded(self) -> None:
        """Return once there is room again, or the link is closed."""
        ...
