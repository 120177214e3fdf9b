"""The voice of the agent's work: it is silent while the agent is paused."""

from outrider.agent.pause import Pause
from outrider.agent.voice import Voice
from outrider.protocol.messages import FromAgent


class WorkVoice:
    """Speaks through another voice, and says nothing during a pause: to those who use it, no link is open."""

    def __init__(self, voice: Voice, pause: Pause) -> None:
        self._voice = voice
        self._pause = pause

    @property
    def open(self) -> bool:
        """Whether what is said now has somebody to hear it."""
        return self._voice.open and not self._pause.paused

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be sent that bulk should hold back."""
        return self._voice.crowded

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        """Send `message` within that many seconds; drop it when closed or paused."""
        if not self._pause.paused:
            self._voice.say(message, within=within)

    async def uncrowded(self) -> None:
        """Return once there is room again, or the link is closed."""
        await self._voice.uncrowded()
