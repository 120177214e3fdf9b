"""What the center answers, as typed values. Fields that a newer center adds are ignored.

Times are unix seconds, durations seconds, sizes bytes.
"""

from typing import Any, Literal

import msgspec

from outrider.domain.command_states import FINAL
from outrider.domain.ids import AgentId, CommandId

StreamName = Literal["stdout", "stderr"]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may sign in.

    `role` is `viewer`, `operator`, `admin` or `super_admin`; `totp` tells whether there is a second factor.
    """

    id: str
    username: str
    role: str
    totp: bool = False
    must_change_password: bool = False


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was just opened; `token` is what proves it from now on."""

    token: str
    expires: float
    user: User


class CenterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a center says about itself. `epoch` changes when its database was restored."""

    version: str = ""
    epoch: Any = None
    name: str = ""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The session that a token stands for."""

    user: User
    expires: float | None = None
    center: CenterFacts = CenterFacts()


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as a list shows it. `status` is `online`, `offline`, `pending` or `declined`.

    `paused`: somebody on its host has paused it; its commands wait until that is over.
    """

    id: AgentId
    label: str = ""
    hostname: str = ""
    ip: str | None = None
    os: str | None = None
    version: str | None = None
    status: str
    last_seen: float | None = None
    tags: list[str] = []
    paused: bool = False


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the agent, with the build that tells two bundles of one version apart."""

    version: str = ""
    build: str = ""


class AgentGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group that an agent is in: by hand, by the group's rule, or by both."""

    id: str
    name: str = ""
    by_hand: bool = False
    by_rule: bool = False


class AgentProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The profile that an agent has, and what it comes to. `group_id` None: it is the default profile's."""

    id: str
    name: str = ""
    group_id: str | None = None
    params: dict[str, str] = {}


class AgentDetail(Agent, frozen=True, kw_only=True):
    """An agent with all that its center knows. `clock_offset` is how far its clock is ahead, in seconds.

    `agent_build` is empty for an agent that was not installed from a bundle; `newer` is what an update would
    put in its place, None when it runs that.
    """

    metrics: dict[str, Any] | None = None
    labels: Any = None
    groups: list[AgentGroup] = []
    profile: AgentProfile | None = None
    abilities: list[str] = []
    connection: Any = None
    first_seen: float | None = None
    agent_version: str | None = None
    agent_build: str = ""
    newer: Build | None = None
    clock_offset: float | None = None
    conflict: Any = None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A command that the center has on disk."""

    command_id: CommandId
    status: str


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command and what came of it.

    `stdout` and `stderr` hold what was kept; of a stream longer than that, head and tail are there and
    `..._dropped` counts the bytes between them.
    """

    id: CommandId
    type: str
    params: dict[str, Any] = {}
    status: str
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    stdout_total: int = 0
    stderr_total: int = 0
    stdout_dropped: int = 0
    stderr_dropped: int = 0
    truncated: bool = False
    created_by: str | None = None
    created: float | None = None
    sent: float | None = None
    started: float | None = None
    finished: float | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more will come of this command. A state word we don't know is not final."""
        return self.status in _FINAL_WORDS


_FINAL_WORDS = frozenset(state.value for state in FINAL)


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a running command's output; `offset` is where in the stream it starts."""

    stream: StreamName
    offset: int
    text: str


class Missed(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """Bytes [start, end) of a stream that this reader was too slow for, or that nobody kept."""

    stream: StreamName
    start: int
    end: int


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """A followed command has come into another state."""

    status: str


class Reconnecting(msgspec.Struct, frozen=True, kw_only=True):
    """The center can't be reached for now; following goes on by itself in `seconds`."""

    reason: str
    seconds: float


Progress = Output | Missed | StateChange | Reconnecting | Command
"""What following a command gives: pieces and changes as they come, and last the command itself."""


class CommandType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of command; `params` is the JSON schema of its parameters, `role` the least that may send it."""

    type: str
    summary: str = ""
    role: str = ""
    params: dict[str, Any] = {}


class EnrolmentKeyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment key as a list shows it: without its secret. `uses` None means as often as one likes."""

    id: str
    label: str | None = None
    expires: float | None = None
    uses: int | None = None
    used: int | None = None
    approve: bool = False
    tags: list[str] = []
    created: float | None = None
    created_by: str | None = None
    last_used: float | None = None
    revoked: bool = False


class InstallLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines to paste on a host that is to join: with `curl`, or where that is missing with `python` alone.

    Both are None when hosts can't reach the center; `note` says why, or what else to know.
    """

    url: str | None = None
    curl: str | None = None
    python: str | None = None
    note: str = ""


class NewEnrolmentKey(EnrolmentKeyFacts, frozen=True, kw_only=True):
    """An enrolment key that was just made. `key` is shown this once, and so is its `short` form, if any."""

    key: str
    short: str | None = None
    install: InstallLines | None = None
    """How a host joins with it."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A change at the center. `position` is where to go on from; `subject` is whom it is about."""

    position: int
    kind: str
    time: float | None = None
    subject: str | None = None
    data: Any = None


class EventsMissed(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """Events of these positions, both ends included, are no longer kept."""

    start: int
    end: int
