"""The two ends of a link as state machines: driven against each other, cut anywhere, fed nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from outrider.domain.connection_states import Approval
from outrider.domain.identity import Identity
from outrider.domain.ids import AgentId, CommandId, DeviceId
from outrider.domain.transitions import TransitionRefused
from outrider.protocol.codec import FROM_AGENT, FROM_CENTER
from outrider.protocol.limits import HELLO_WITHIN
from outrider.protocol.link import (
    FAULT,
    NORMAL,
    REFUSED,
    SILENT,
    AgentLink,
    Beat,
    CenterLink,
    Close,
    FromTheAgent,
    FromTheCenter,
    LinkState,
    Opened,
    Send,
    Turned,
)
from outrider.protocol.messages import (
    MAX_FRAME,
    CenterSeen,
    Execute,
    Facts,
    Heartbeat,
    HeartbeatSeen,
    Hello,
    Order,
    Probe,
    Refused,
    Started,
    Watch,
    Welcome,
)
from outrider.protocol.version import SPOKEN, VersionRange

COMMAND = CommandId("cmd_000000000000")


def hello(versions: VersionRange = SPOKEN) -> Hello:
    """Make a first message."""
    identity = Identity(
        agent_id=AgentId("agent_000000000000"),
        device_id=DeviceId("D"),
        incarnation="spool",
        generation=0,
        start="s",
        earlier_starts=(),
        boot="b",
        machine="m",
    )
    return Hello(versions=versions, identity=identity, facts=Facts(hostname="h", os="o"), time=1.0)


def welcome(heartbeat: float = 10.0, version: int = 1) -> Welcome:
    """Make an answer to it."""
    seen = CenterSeen(epoch="e", position=1)
    return Welcome(version=version, approval=Approval.APPROVED, heartbeat=heartbeat, time=1.0, seen=seen)


def opened(heartbeat: float = 10.0) -> tuple[AgentLink, CenterLink]:
    """Make both ends of an open link, at time 0."""
    agent, center = AgentLink(hello(), 0.0), CenterLink(0.0, heartbeat)
    assert isinstance(agent.begin()[0], Send)
    center.received(agent.begin()[0].frame, 0.0)  # type: ignore[union-attr]  # looked at the line above
    [answer] = center.welcome(welcome(heartbeat))
    assert isinstance(answer, Send)
    agent.received(answer.frame, 0.0)
    assert (agent.state, center.state) == (LinkState.OPEN, LinkState.OPEN)
    return agent, center


def test_the_greeting() -> None:
    """Hello, the decision, the welcome: both ends are open and speak the same version."""
    agent, center = AgentLink(hello(), 0.0), CenterLink(0.0)
    [first] = agent.begin()
    assert isinstance(first, Send)
    assert center.received(first.frame, 1.0) == [FromTheAgent(hello())]
    assert center.state is LinkState.DECIDING
    [answer] = center.welcome(welcome())
    assert isinstance(answer, Send)
    assert agent.received(answer.frame, 2.0) == [Opened(welcome())]
    assert agent.version == center.version == 1


def test_nothing_is_said_before_the_link_is_open() -> None:
    """Neither end sends anything else before hello and welcome."""
    agent, center = AgentLink(hello(), 0.0), CenterLink(0.0)
    assert agent.say((Started(id=COMMAND, at=1.0),)) == []
    assert agent.beat(None, wall=1.0, now=0.0) == []
    assert center.say((Probe(),)) == []


def test_a_refusal_turns_the_agent_away() -> None:
    """The agent hears why; both ends are closed, the center with the code for it."""
    agent, center = AgentLink(hello(), 0.0), CenterLink(0.0)
    center.received(FROM_AGENT.encode((hello(),)), 0.0)
    refused = Refused(code="duplicate_identity", detail="Another is there.", retry_after=60.0)
    said, closed = center.refuse(refused)
    assert isinstance(said, Send)
    assert closed == Close(REFUSED, "duplicate_identity")
    assert agent.received(said.frame, 0.0) == [Turned(refused), Close(NORMAL, "refused")]
    assert agent.is_closed
    assert center.is_closed
    assert center.refuse(refused) == []


def test_versions_that_do_not_overlap() -> None:
    """Refused with the code, and not before long."""
    center = CenterLink(0.0)
    said, closed = center.received(FROM_AGENT.encode((hello(VersionRange(7, 9)),)), 0.0)
    assert isinstance(said, Send)
    [refused] = FROM_CENTER.decode(said.frame)
    assert isinstance(refused, Refused)
    assert refused.code == "no_common_version"
    assert refused.retry_after > 0
    assert closed == Close(REFUSED, "no_common_version")


@pytest.mark.parametrize(
    "frame",
    [
        FROM_AGENT.encode((Heartbeat(number=1, time=1.0),)),
        FROM_AGENT.encode((hello(), hello())),
        FROM_AGENT.encode((hello(), Started(id=COMMAND, at=1.0))),
        b"nonsense",
        FROM_CENTER.encode((Probe(),)),
    ],
)
def test_the_center_wants_a_hello_alone_and_first(frame: bytes) -> None:
    """Anything else breaks the link with a reason the agent can read."""
    center = CenterLink(0.0)
    effects = center.received(frame, 0.0)
    said, closed = effects[-2:]
    assert isinstance(said, Send)
    assert isinstance(FROM_CENTER.decode(said.frame)[0], Refused)
    assert isinstance(closed, Close)
    assert closed.code == FAULT
    assert center.received(frame, 0.0) == []


@pytest.mark.parametrize(
    "frame",
    [
        FROM_CENTER.encode((Probe(),)),
        FROM_CENTER.encode((welcome(version=99),)),
        FROM_CENTER.encode((welcome(heartbeat=0.0),)),
        FROM_CENTER.encode((welcome(heartbeat=-1.0),)),
        FROM_CENTER.encode((welcome(), welcome())),
        b"nonsense",
    ],
)
def test_the_agent_wants_a_welcome_it_can_follow(frame: bytes) -> None:
    """Anything else closes the link."""
    agent = AgentLink(hello(), 0.0)
    closed = agent.received(frame, 0.0)[-1]
    assert isinstance(closed, Close)
    assert closed.code == FAULT
    assert agent.received(frame, 0.0) == []
    assert agent.tick(1000.0) == []


def test_a_second_hello_breaks_an_open_link() -> None:
    """Who is speaking is said once."""
    _, center = opened()
    effects = center.received(FROM_AGENT.encode((hello(),)), 1.0)
    assert effects[-1] == Close(FAULT, "link_fault")


def test_the_agent_beats_in_time_and_gives_up_a_silent_center() -> None:
    """A beat each interval; three without a word and the link is closed."""
    agent, _ = opened(heartbeat=10.0)
    assert agent.deadline == 10.0
    assert agent.tick(9.9) == []
    assert agent.tick(10.0) == [Beat()]
    [beat] = agent.beat(None, wall=100.0, now=10.0)
    assert isinstance(beat, Send)
    assert FROM_AGENT.decode(beat.frame) == [Heartbeat(number=1, time=100.0)]
    assert agent.deadline == 20.0
    agent.received(FROM_CENTER.encode((HeartbeatSeen(number=1, time=1.0),)), 15.0)
    assert agent.tick(44.9) == [Beat()]
    assert agent.tick(45.0) == [Close(SILENT, "the center has been silent")]


def test_the_agent_may_beat_more_often_than_it_has_to() -> None:
    """A shorter pace counts at once; a longer one leaves the center's."""
    agent, _ = opened(10.0)
    agent.beat_within(2.0, 1.0)
    assert agent.tick(2.9) == []
    assert agent.tick(3.0) == [Beat()]
    agent.beat(None, wall=0.0, now=3.0)
    assert agent.tick(5.0) == [Beat()]
    agent.beat_within(3600.0, 5.0)
    agent.beat(None, wall=0.0, now=5.0)
    assert agent.tick(14.9) == []
    assert agent.tick(15.0) == [Beat()]


def test_the_agent_does_not_wait_for_a_welcome_for_ever() -> None:
    """Ten seconds after the hello the link is given up."""
    agent = AgentLink(hello(), 5.0)
    assert agent.deadline == 5.0 + HELLO_WITHIN
    assert agent.tick(5.0 + HELLO_WITHIN - 0.1) == []
    assert agent.tick(5.0 + HELLO_WITHIN) == [Close(SILENT, "the center did not answer the hello")]


def test_the_center_finds_silent_agents() -> None:
    """Ten seconds before the link is open, three heartbeats after."""
    waiting = CenterLink(0.0, 2.0)
    assert not waiting.silent(9.9)
    assert waiting.silent(10.0)
    _, center = opened(heartbeat=2.0)
    assert not center.silent(5.9)
    assert center.silent(6.0)
    center.received(FROM_AGENT.encode((Heartbeat(number=1, time=1.0),)), 5.0)
    assert not center.silent(10.9)
    center.close(NORMAL, "x" * 500)
    assert not center.silent(1000.0)


def test_a_probe_asks_for_a_beat() -> None:
    """Somebody else claims to be this agent: it says at once that it is here."""
    agent, center = opened()
    [asked] = center.say((Probe(),))
    assert isinstance(asked, Send)
    assert agent.received(asked.frame, 1.0) == [Beat()]


def test_a_close_has_a_reason_that_fits() -> None:
    """A WebSocket's close reason has 123 bytes."""
    _, center = opened()
    assert len(center.close(NORMAL, "x" * 500).reason) <= 123


@given(st.lists(st.integers(0, 400_000), max_size=12))
def test_what_is_said_at_once_fits_the_frames_an_agent_takes(sizes: list[int]) -> None:
    """However much waits for a host: frames of at most 1 MiB, everything once and in order."""
    agent, center = opened()
    messages = [
        Execute(
            orders=(Order(id=CommandId(f"cmd_{number}"), type="x", params={"body": "x" * size}, expires=1.0),)
        )
        for number, size in enumerate(sizes)
    ]
    heard = []
    for effect in center.say(messages):
        assert isinstance(effect, Send)
        assert len(effect.frame) <= MAX_FRAME
        heard += agent.received(effect.frame, 1.0)
    assert heard == [FromTheCenter(message) for message in messages]


def test_welcoming_twice_is_our_own_fault() -> None:
    """The shells can't welcome who has not said hello, or welcome twice."""
    with pytest.raises(TransitionRefused):
        opened()[1].welcome(welcome())


class PairMachine(RuleBasedStateMachine):
    """Both ends with a wire between them that may be cut, while frames wait on it and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.said_by_agent: list[Started] = []
        self.heard_by_center: list[Started] = []
        self.said_by_center: list[Watch] = []
        self.heard_by_agent: list[Watch] = []
        self.connect()

    def connect(self) -> None:
        """Dial anew; what was on the wire is gone."""
        self.agent, self.center = AgentLink(hello(), self.now), CenterLink(self.now, 10.0)
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.carry_agent(self.agent.begin())

    def carry_agent(self, effects: object) -> None:
        """Do what the agent's end wants done."""
        assert isinstance(effects, list)
        for effect in effects:
            match effect:
                case Send(frame=frame):
                    self.up.append(frame)
                case Beat():
                    self.carry_agent(self.agent.beat(None, wall=self.now, now=self.now))
                case FromTheCenter(message=Watch() as message):
                    self.heard_by_agent.append(message)
                case _:
                    assert isinstance(effect, Close | Opened | Turned | FromTheCenter)

    def carry_center(self, effects: object) -> None:
        """Do what the center's end wants done."""
        assert isinstance(effects, list)
        for effect in effects:
            match effect:
                case Send(frame=frame):
                    self.down.append(frame)
                case FromTheAgent(message=Hello()):
                    self.carry_center(self.center.welcome(welcome()))
                case FromTheAgent(message=Heartbeat(number=number)):
                    self.carry_center(self.center.say((HeartbeatSeen(number=number, time=self.now),)))
                case FromTheAgent(message=Started() as message):
                    self.heard_by_center.append(message)
                case _:
                    assert isinstance(effect, Close | FromTheAgent)

    @rule(number=st.integers(0, 99))
    def agent_says(self, number: int) -> None:
        """The agent has something to say."""
        message = Started(id=CommandId(str(number)), at=self.now)
        effects = self.agent.say((message,))
        if effects:
            self.said_by_agent.append(message)
        self.carry_agent(effects)

    @rule(number=st.integers(0, 99))
    def center_says(self, number: int) -> None:
        """The center has something to say."""
        message = Watch(id=CommandId(str(number)), on=True)
        effects = self.center.say((message,))
        if effects:
            self.said_by_center.append(message)
        self.carry_center(effects)

    @precondition(lambda self: self.up)
    @rule()
    def center_hears(self) -> None:
        """The oldest frame reaches the center."""
        self.carry_center(self.center.received(self.up.pop(0), self.now))

    @precondition(lambda self: self.down)
    @rule()
    def agent_hears(self) -> None:
        """The oldest frame reaches the agent."""
        self.carry_agent(self.agent.received(self.down.pop(0), self.now))

    @rule(frame=st.binary(max_size=20), upward=st.booleans())
    def noise(self, frame: bytes, *, upward: bool) -> None:
        """Foreign bytes arrive."""
        if upward:
            self.carry_center(self.center.received(frame, self.now))
        else:
            self.carry_agent(self.agent.received(frame, self.now))

    @rule(seconds=st.floats(0.0, 40.0))
    def time_passes(self, seconds: float) -> None:
        """Each end looks at the time."""
        self.now += seconds
        late = self.now >= self.agent.deadline
        effects = self.agent.tick(self.now)
        assert late or self.agent.is_closed or effects == []
        self.carry_agent(effects)
        if self.center.silent(self.now):
            self.center.close(SILENT, "silent")

    @rule()
    def cut(self) -> None:
        """The connection is gone; what was on its way is lost, and a new one is dialled."""
        self.agent.lost()
        assert self.agent.tick(self.now + 1000) == []
        assert self.agent.say((Started(id=COMMAND, at=1.0),)) == []
        self.connect()

    def teardown(self) -> None:
        """Nobody has heard what was not said, or twice, or out of order."""
        for heard, said in (
            (self.heard_by_center, self.said_by_agent),
            (self.heard_by_agent, self.said_by_center),
        ):
            rest = iter(said)
            assert all(any(message is each or message == each for each in rest) for message in heard)


TestPair = PairMachine.TestCase
