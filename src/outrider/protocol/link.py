"""The link as two state machines without I/O, one for each side.

Events go in (a frame came, time passed, this side wants to say something); effects come out, in the
order they have to be carried out. The shells in `agent/` and `center/` own the sockets and the clock
and do nothing else.

    agent:   GREETING ──Welcome──> OPEN ──close/fault/silence──> CLOSED
                 └──────Refused/fault/late──────────────────────────^
    center:  AWAITING ──Hello──> DECIDING ──welcome()──> OPEN ──> CLOSED
                 └──fault/late──────┴──refuse()────────────────────^
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from outrider.domain.errors import LinkFault, NoCommonVersion
from outrider.domain.transitions import Transitions
from outrider.protocol.codec import FROM_AGENT, FROM_CENTER
from outrider.protocol.limits import HEARTBEAT, HELLO_WITHIN, SILENCE
from outrider.protocol.messages import (
    MAX_FRAME,
    FromAgent,
    FromCenter,
    Heartbeat,
    HeartbeatSeen,
    Hello,
    Probe,
    Readings,
    Refused,
    Welcome,
)
from outrider.protocol.version import SPOKEN, agree

STOPPING: Final = "stopping"
"""The reason an agent closes its link with when its host will not be there for a while: it is offline now."""
RESTARTING: Final = "restarting"
"""The reason when it will be back in a moment: nothing is made of its absence."""
NORMAL: Final = 1000
FAULT: Final = 4400
REFUSED: Final = 4403
SILENT: Final = 4408
REPLACED: Final = 4409
"""WebSocket close codes: 1000 is RFC 6455's, the others are ours (the 4000 range is for that)."""


@dataclass(frozen=True, slots=True)
class Send:
    """Put this frame on the wire."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with this code and reason, after what was sent before."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The link is open: both sides have agreed."""

    welcome: Welcome


@dataclass(frozen=True, slots=True)
class Turned:
    """The center does not want the link, and says why."""

    refused: Refused


@dataclass(frozen=True, slots=True)
class FromTheCenter:
    """A message for the agent."""

    message: FromCenter


@dataclass(frozen=True, slots=True)
class FromTheAgent:
    """A message for the center."""

    message: FromAgent


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat is due: say it with `AgentLink.beat`, with fresh readings."""


AgentEffect = Send | Close | Opened | Turned | FromTheCenter | Beat
CenterEffect = Send | Close | FromTheAgent


class LinkState(Enum):
    """Where a side of a link stands."""

    GREETING = "greeting"
    DECIDING = "deciding"
    OPEN = "open"
    CLOSED = "closed"


LINK: Final = Transitions(
    LinkState,
    {
        LinkState.GREETING: (LinkState.DECIDING, LinkState.OPEN, LinkState.CLOSED),
        LinkState.DECIDING: (LinkState.OPEN, LinkState.CLOSED),
        LinkState.OPEN: (LinkState.CLOSED,),
    },
)


class AgentLink:
    """The agent's side. `now` is always monotonic seconds."""

    def __init__(self, hello: Hello, now: float) -> None:
        """Begin at the moment the connection is up."""
        self.state = LinkState.GREETING
        self.version = 0
        self._hello = hello
        self._interval = HEARTBEAT
        self._within: float | None = None
        self._heard = now
        self._beat_at = 0.0
        self._number = 0

    @property
    def is_closed(self) -> bool:
        """Tell whether the link has ended."""
        return self.state is LinkState.CLOSED

    def begin(self) -> list[AgentEffect]:
        """Greet the center."""
        return [Send(FROM_AGENT.encode((self._hello,)))]

    @property
    def deadline(self) -> float:
        """Say when `tick` has to be called at the latest."""
        if self.state is LinkState.GREETING:
            return self._heard + HELLO_WITHIN
        return min(self._beat_at, self._heard + SILENCE * self._interval)

    def received(self, frame: bytes, now: float) -> list[AgentEffect]:
        """Take in a frame from the center."""
        if self.is_closed:
            return []
        self._heard = now
        try:
            messages = FROM_CENTER.decode(frame)
        except LinkFault as fault:
            return [self._close(FAULT, fault.detail)]
        effects: list[AgentEffect] = []
        for message in messages:
            if not self.is_closed:
                effects += self._take(message, now)
        return effects

    def _take(self, message: FromCenter, now: float) -> list[AgentEffect]:
        if self.state is LinkState.GREETING:
            return self._answered(message, now)
        match message:
            case HeartbeatSeen():
                return [FromTheCenter(message)]
            case Probe():
                return [Beat()]
            case Welcome():
                return [self._close(FAULT, "a second welcome")]
            case Refused():
                return [Turned(message), self._close(NORMAL, "refused")]
            case _:
                return [FromTheCenter(message)]

    def _answered(self, message: FromCenter, now: float) -> list[AgentEffect]:
        match message:
            case Welcome():
                if not SPOKEN.lowest <= message.version <= SPOKEN.highest or message.heartbeat <= 0:
                    return [self._close(FAULT, "a welcome this side can't follow")]
                self.state = LINK.check(self.state, LinkState.OPEN)
                self.version = message.version
                self._interval = message.heartbeat
                self._beat_at = now + self._beat_every
                return [Opened(message)]
            case Refused():
                return [Turned(message), self._close(NORMAL, "refused")]
            case _:
                return [self._close(FAULT, "the center has to answer the hello first")]

    def say(self, messages: Sequence[FromAgent]) -> list[AgentEffect]:
        """Send messages; the caller keeps what must not be lost until it is confirmed."""
        if self.state is not LinkState.OPEN or not messages:
            return []
        return [Send(FROM_AGENT.encode(messages))]

    def beat_within(self, seconds: float | None, now: float) -> None:
        """Beat every so many seconds from now on, or as the center asks where that is more often."""
        self._within = seconds
        self._beat_at = min(self._beat_at, now + self._beat_every)

    @property
    def _beat_every(self) -> float:
        return self._interval if self._within is None else min(self._interval, self._within)

    def beat(
        self, readings: Readings | None, *, wall: float, now: float, paused: bool = False
    ) -> list[AgentEffect]:
        """Send a heartbeat; `wall` is unix time, for the clock offset."""
        if self.state is not LinkState.OPEN:
            return []
        self._number += 1
        self._beat_at = now + self._beat_every
        return self.say((Heartbeat(number=self._number, time=wall, readings=readings, paused=paused),))

    def tick(self, now: float) -> list[AgentEffect]:
        """Let time pass: a heartbeat may be due, the center may have been silent for too long."""
        if self.state is LinkState.CLOSED:
            return []
        if self.state is LinkState.GREETING:
            late = now >= self._heard + HELLO_WITHIN
            return [self._close(SILENT, "the center did not answer the hello")] if late else []
        if now >= self._heard + SILENCE * self._interval:
            return [self._close(SILENT, "the center has been silent")]
        return [Beat()] if now >= self._beat_at else []

    def lost(self) -> None:
        """The connection is gone."""
        self.state = LinkState.CLOSED

    def _close(self, code: int, reason: str) -> Close:
        self.state = LINK.check(self.state, LinkState.CLOSED)
        return Close(code, reason[:120])


class CenterLink:
    """The center's side. Slots and no timers of its own: a center holds ten thousand of them."""

    __slots__ = ("heard", "interval", "state", "version")

    def __init__(self, now: float, interval: float = HEARTBEAT) -> None:
        """Begin at the moment the connection is up."""
        self.state = LinkState.GREETING
        self.version = 0
        self.interval = interval
        self.heard = now

    def received(self, frame: bytes, now: float) -> list[CenterEffect]:
        """Take in a frame from the agent."""
        if self.state is LinkState.CLOSED:
            return []
        try:
            messages = FROM_AGENT.decode(frame)
            self.heard = now
            return self._take(messages)
        except NoCommonVersion as fault:
            return self.refuse(Refused(code=fault.code, detail=fault.detail, retry_after=300.0))
        except LinkFault as fault:
            return self.refuse(Refused(code=fault.code, detail=fault.detail), FAULT)

    def _take(self, messages: Sequence[FromAgent]) -> list[CenterEffect]:
        effects: list[CenterEffect] = []
        for message in messages:
            if isinstance(message, Hello):
                self._greeted(message)
            elif self.state is not LinkState.OPEN:
                raise LinkFault("The first message must be a hello, and its answer must be awaited.")
            effects.append(FromTheAgent(message))
        return effects

    def _greeted(self, hello: Hello) -> None:
        if self.state is not LinkState.GREETING:
            raise LinkFault("Only the first message may be a hello.")
        self.version = agree(SPOKEN, hello.versions)
        self.state = LINK.check(self.state, LinkState.DECIDING)

    def welcome(self, welcome: Welcome) -> list[CenterEffect]:
        """Take the agent in. Its hello was delivered before."""
        self.state = LINK.check(self.state, LinkState.OPEN)
        return [Send(FROM_CENTER.encode((welcome,)))]

    def refuse(self, refused: Refused, code: int = REFUSED) -> list[CenterEffect]:
        """Turn the agent away, saying why."""
        if self.state is LinkState.CLOSED:
            return []
        return [Send(FROM_CENTER.encode((refused,))), self.close(code, refused.code)]

    def say(self, messages: Sequence[FromCenter]) -> list[CenterEffect]:
        """Send messages; nothing is sent on a link that is not open."""
        if self.state is not LinkState.OPEN or not messages:
            return []
        return self._in_frames(messages)

    def _in_frames(self, messages: Sequence[FromCenter]) -> list[CenterEffect]:
        """Make one frame of the messages, or several where one would be longer than the other side takes."""
        frame = FROM_CENTER.encode(messages)
        if len(frame) <= MAX_FRAME or len(messages) == 1:
            return [Send(frame)]
        middle = len(messages) // 2
        return [*self._in_frames(messages[:middle]), *self._in_frames(messages[middle:])]

    @property
    def is_closed(self) -> bool:
        """Tell whether this side is done with the link."""
        return self.state is LinkState.CLOSED

    def silent(self, now: float) -> bool:
        """Tell whether the agent has been silent for too long."""
        allowed = SILENCE * self.interval if self.state is LinkState.OPEN else HELLO_WITHIN
        return self.state is not LinkState.CLOSED and now - self.heard >= allowed

    def close(self, code: int, reason: str) -> Close:
        """End the link from this side."""
        self.state = LinkState.CLOSED
        return Close(code, reason[:120])
