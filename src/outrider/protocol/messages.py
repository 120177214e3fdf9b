"""The messages of the link, as two tagged unions: what an agent says and what the center says.

A frame is a msgpack array of messages, in the order they were said. Fields may be added with a
default: a reader ignores fields it does not know. A message a peer may not know is sent with
`optional` set: a reader ignores it when the tag is new to it, and breaks the link over any other
unknown tag, because something it was told to do would be lost.

Times are unix seconds as float; durations are seconds; ids are strings.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.identity import Identity
from outrider.domain.ids import CommandId, MicroserviceId
from outrider.domain.microservices import MAX_CONFIG, MAX_MICROSERVICES
from outrider.protocol.version import VersionRange

Offset = Annotated[int, Meta(ge=0, le=2**53)]
Channel = Literal[1, 2]
"""1 is stdout, 2 is stderr."""
ShortText = Annotated[str, Meta(max_length=4096)]
TagText = Annotated[str, Meta(max_length=512)]
MAX_WANTED: Final = 64
"""How many configurations an agent asks for at a time: a report has to hold their names."""
SomeNames = Annotated[tuple[Annotated[str, Meta(max_length=512)], ...], Meta(max_length=64)]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """The root of all messages."""


# --- facts that messages carry ------------------------------------------------------------------


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host says of itself; refreshed at each hello.

    `agent_build` is the build of the bundle that the agent was installed from and `agent_target` what that is
    for, such as `cp311-linux-x86_64`; both are empty for one that was installed in another way.
    """

    hostname: ShortText
    os: ShortText
    os_family: ShortText = "linux"
    kernel: ShortText = ""
    architecture: ShortText = ""
    ip: ShortText = ""
    agent_version: ShortText = ""
    agent_build: ShortText = ""
    agent_target: ShortText = ""
    python: ShortText = ""
    cpus: int = 0
    memory_bytes: int = 0
    runs_as: ShortText = ""
    abilities: SomeNames = ()


class Readings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A small snapshot of load, carried by each heartbeat (seed 002's report fields)."""

    cpu_percent: float = 0.0
    mem_percent: float = 0.0
    disk_percent: float = 0.0
    uptime_s: int = 0


class CenterSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The newest state of the center that the agent has seen.

    A center that is behind it was restored from an older database. `start` names the center's process: one
    that the center does not remember, or that it remembers to have come less far, says so too.
    """

    epoch: str
    position: int
    start: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One command for the host. `expires` is when it may no longer be started, in center time."""

    id: CommandId
    type: str
    params: dict[str, Any]
    expires: float


class OutputEnd(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of one output stream: the bytes not sent before, and how long the stream was.

    `data` starts at `offset`; [0, head_end) and [tail_start, total) are kept (domain.output).
    """

    total: Offset = 0
    offset: Offset = 0
    data: bytes = b""


# --- what an agent says -------------------------------------------------------------------------


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """The first message on a link. `held` are the commands that the spool has not got confirmed."""

    versions: VersionRange
    identity: Identity
    facts: Facts
    time: float
    seen: CenterSeen | None = None
    held: tuple[CommandId, ...] = ()
    paused: bool = False


class Heartbeat(Message, frozen=True, kw_only=True, tag="beat"):
    """I am here. Answered by `HeartbeatSeen` with the same number."""

    number: int
    time: float
    readings: Readings | None = None
    paused: bool = False


class Accepted(Message, frozen=True, kw_only=True, tag="accepted"):
    """These commands are on the agent's disk; `generation` is the spool's after taking them."""

    ids: tuple[CommandId, ...]
    generation: int


class Started(Message, frozen=True, kw_only=True, tag="started"):
    """The command's work has begun."""

    id: CommandId
    at: float


class Output(Message, frozen=True, kw_only=True, tag="output"):
    """A piece of output, at most `MAX_CHUNK` bytes, of one of the command's channels.

    `kept` pieces are part of what is stored and come again until confirmed. The others are for
    whoever watches now and may leave gaps.
    """

    id: CommandId
    channel: Channel
    offset: Offset
    data: bytes
    kept: bool = True


class Finished(Message, frozen=True, kw_only=True, tag="finished"):
    """The command's one result; said again on each new link until confirmed."""

    id: CommandId
    state: CommandState
    finished: float
    started: float | None = None
    exit_code: Annotated[int, Meta(ge=-(2**31), lt=2**31)] | None = None
    signal: Annotated[int, Meta(ge=0, le=128)] | None = None
    reason: ShortText = ""
    stdout: OutputEnd = OutputEnd()
    stderr: OutputEnd = OutputEnd()


class MinuteRow(msgspec.Struct, frozen=True, array_like=True):
    """A minute of a host's readings: its number since 1970, and its series (domain.telemetry.series)."""

    number: Annotated[int, Meta(ge=0, lt=2**40)]
    data: Annotated[bytes, Meta(max_length=16 * 1024)]


class Minutes(Message, frozen=True, kw_only=True, tag="minutes"):
    """Minutes that the center has not confirmed. `latest` is the newest snapshot, packed, where it is due.

    Answered with `MinutesTaken`. Said with `optional`: a center that does not know it passes over it.
    """

    rows: Annotated[tuple[MinuteRow, ...], Meta(max_length=64)]
    latest: Annotated[bytes, Meta(max_length=64 * 1024)] = b""
    optional: bool = False


class TagWrite(msgspec.Struct, frozen=True, array_like=True):
    """A tag that was set on the host. `value` None removes it.

    `at` is when, in milliseconds of the center's unix time; `number` counts the host's writes.
    """

    name: TagText
    value: TagText | None
    at: Annotated[int, Meta(ge=0, le=2**53)]
    number: Annotated[int, Meta(ge=0, le=2**53)]


class TagsSet(Message, frozen=True, kw_only=True, tag="tags_set"):
    """Tags that were set on the host and that the center has not taken; said again on each link until it has.

    Answered with `Tags`. Said with `optional`: a center that does not know it passes over it.
    """

    writes: Annotated[tuple[TagWrite, ...], Meta(max_length=256)]
    optional: bool = False


SomeMicroservices = Annotated[tuple[MicroserviceId, ...], Meta(max_length=MAX_WANTED)]


class ConfigsHeld(Message, frozen=True, kw_only=True, tag="configs_held"):
    """Which microservices' configurations the agent holds, by their digest; said on each link.

    `wanted` are those whose text it lacks. Answered with `Configs` unless the center has the same and nothing
    is wanted. Said with `optional`: a center that does not know it passes over it.
    """

    digest: ShortText
    wanted: SomeMicroservices = ()
    optional: bool = False


class FactsChanged(Message, frozen=True, kw_only=True, tag="facts"):
    """The host's facts are no longer those of the hello."""

    facts: Facts


class ConnectionWanted(Message, frozen=True, kw_only=True, tag="dial"):
    """Listen mode: dial this agent once more, and begin with `name` (protocol.dialling)."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,40}\Z")]


# --- what the center says -----------------------------------------------------------------------


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    """The answer to a hello that is taken.

    `new_spool` tells the agent that its spool may be an old copy: it starts nothing it holds from it.
    `begun` are those of the hello's `held` that the center knows to have started or ended: a spool that
    has them still waiting is an old copy in that point, and must not start them again.
    """

    version: int
    approval: Approval
    heartbeat: float
    time: float
    seen: CenterSeen
    label: str = ""
    new_spool: bool = False
    return_within: float = 0.0
    begun: tuple[CommandId, ...] = ()


class Refused(Message, frozen=True, kw_only=True, tag="refused"):
    """The link is not wanted; the center closes it. `code` is stable, `detail` for people."""

    code: str
    detail: str
    retry_after: float = 0.0


class HeartbeatSeen(Message, frozen=True, kw_only=True, tag="seen"):
    """The center has the heartbeat with this number."""

    number: int
    time: float


class Probe(Message, frozen=True, kw_only=True, tag="probe"):
    """Send a heartbeat now: somebody else claims to be you."""


class Execute(Message, frozen=True, kw_only=True, tag="execute"):
    """Take these commands. An id that was taken before is not started again."""

    orders: tuple[Order, ...]


class Cancel(Message, frozen=True, kw_only=True, tag="cancel"):
    """End this command, whether it waits or runs."""

    id: CommandId


class Watch(Message, frozen=True, kw_only=True, tag="watch"):
    """Somebody reads (or no longer reads) this command's output as it comes."""

    id: CommandId
    on: bool


class OutputConfirmed(Message, frozen=True, kw_only=True, tag="output_ok"):
    """All output of this channel before `offset` has been taken: kept output is on disk."""

    id: CommandId
    channel: Channel
    offset: Offset


class ResultsConfirmed(Message, frozen=True, kw_only=True, tag="results_ok"):
    """These results are on the center's disk; the agent need not keep them.

    `seen` is the center's state with them: one that is behind it later was restored from an older database.
    """

    ids: tuple[CommandId, ...]
    seen: CenterSeen | None = None


class MinutesTaken(Message, frozen=True, kw_only=True, tag="minutes_ok"):
    """These minutes are on the center's disk, or are none it keeps: the agent need not."""

    numbers: tuple[int, ...]


class ApprovalChanged(Message, frozen=True, kw_only=True, tag="approval"):
    """An administrator has approved or declined this agent."""

    approval: Approval


class Removed(Message, frozen=True, kw_only=True, tag="removed"):
    """This agent was deleted at the center: its key is dead. `detail` says by whom and why."""

    detail: str


class TagValue(msgspec.Struct, frozen=True, array_like=True):
    """A tag as the center has settled it: `owner` is `host` or `center`; a greater `version` is later."""

    name: TagText
    value: TagText
    owner: TagText
    version: Annotated[int, Meta(ge=0, le=2**53)]


class Tags(Message, frozen=True, kw_only=True, tag="tags"):
    """All NAME=value tags of this agent, after each link and each change.

    The host's writes up to the number `taken` are settled in it. Said with `optional`.
    """

    tags: Annotated[tuple[TagValue, ...], Meta(max_length=256)]
    taken: int = 0
    optional: bool = False


class Profile(Message, frozen=True, kw_only=True, tag="profile"):
    """The settings that this agent's profile comes to, after each link and each change; said with `optional`.

    `version` grows with the center's history; what is said last counts.
    """

    version: int
    params: dict[str, str]
    optional: bool = False


class ConfigText(msgspec.Struct, frozen=True, array_like=True):
    """A microservice's configuration."""

    id: MicroserviceId
    config: Annotated[str, Meta(max_length=MAX_CONFIG)]


class ConfigVersion(msgspec.Struct, frozen=True, array_like=True):
    """Which text a microservice's configuration is (domain.microservices)."""

    id: MicroserviceId
    version: TagText


class Configs(Message, frozen=True, kw_only=True, tag="configs"):
    """What has changed of this agent's microservices, or what it lacks of them; said with `optional`.

    `digest` is what all come to once this is taken in: an agent that comes to another one says `ConfigsHeld`.
    `known` names all there are, where the agent has said a digest that is not the center's.
    """

    digest: ShortText
    changed: Annotated[tuple[ConfigText, ...], Meta(max_length=MAX_MICROSERVICES)] = ()
    removed: Annotated[tuple[MicroserviceId, ...], Meta(max_length=MAX_MICROSERVICES)] = ()
    known: Annotated[tuple[ConfigVersion, ...], Meta(max_length=MAX_MICROSERVICES)] | None = None
    optional: bool = False


class StreamWanted(Message, frozen=True, kw_only=True, tag="stream"):
    """Dial a stream: `kind` says what it carries, `request` what is wanted of it, `token` opens it once."""

    stream_id: str
    kind: str
    token: str
    request: msgspec.Raw


FromAgent = (
    Hello
    | Heartbeat
    | Accepted
    | Started
    | Output
    | Finished
    | Minutes
    | TagsSet
    | ConfigsHeld
    | FactsChanged
    | ConnectionWanted
)
FromCenter = (
    Welcome
    | Refused
    | HeartbeatSeen
    | Probe
    | Execute
    | Cancel
    | Watch
    | OutputConfirmed
    | ResultsConfirmed
    | MinutesTaken
    | ApprovalChanged
    | Removed
    | StreamWanted
    | Tags
    | Profile
    | Configs
)

MAX_FRAME: Final = 1024 * 1024
"""No frame of the link is longer; a longer one breaks the link (bounded memory)."""
MAX_CHUNK: Final = 32 * 1024
"""The most output bytes in one message."""
LINK_OUTPUT: Final = 64 * 1024
"""What one command's output may put on the link; the rest travels on a stream of its own."""
