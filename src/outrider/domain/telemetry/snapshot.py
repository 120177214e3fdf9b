"""One look at a host, as it travels and as people get it (contract 002, metrics stream).

The four fields of seed 002's report (`cpu_percent`, `mem_percent`, `disk_percent`, `uptime_s`) are here under
their own names, so that who reads them finds them wherever a host's figures are shown.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

EVERY: Final = 5.0
"""Seconds between two readings of a host."""
MAX_DISKS: Final = 16
MAX_CARDS: Final = 16
MAX_TOP: Final = 10
"""The most a snapshot lists of each; what is left out is counted in `left_out`."""
MAX_SNAPSHOT: Final = 64 * 1024
"""Bytes that a packed snapshot may have at most; a full one has about ten thousand."""

Name = Annotated[str, Meta(max_length=512)]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """The root of a snapshot's parts."""


class Cpu(_Part, frozen=True, kw_only=True):
    """The processors since the reading before: shares in percent of all of them together (0 to 100)."""

    count: int
    percent: float
    user: float
    system: float
    nice: float
    iowait: float
    irq: float
    steal: float
    idle: float


class Memory(_Part, frozen=True, kw_only=True):
    """Main memory in bytes. `used` is what programs can't have: total less available."""

    total: int
    available: int
    used: int
    free: int
    buffers: int
    cached: int
    percent: float


class Swap(_Part, frozen=True, kw_only=True):
    """Swap space in bytes."""

    total: int
    used: int
    percent: float


class Load(_Part, frozen=True, kw_only=True):
    """The kernel's load averages over one, five and fifteen minutes."""

    one: float
    five: float
    fifteen: float


class Disk(_Part, frozen=True, kw_only=True):
    """A mounted local file system, in bytes; `percent` as df counts it.

    The rates are those of its device in bytes a second since the reading before; None where the kernel does
    not tell them.
    """

    mount: Name
    device: Name
    type: Name
    total: int
    used: int
    free: int
    percent: float
    read_bytes: float | None = None
    written_bytes: float | None = None


class Card(_Part, frozen=True, kw_only=True):
    """A network card: what it received and sent in a second, since the reading before.

    `errors` counts broken and dropped packets of both directions. `up` is None where it can't be told.
    """

    name: Name
    up: bool | None = None
    received_bytes: float = 0.0
    sent_bytes: float = 0.0
    received_packets: float = 0.0
    sent_packets: float = 0.0
    errors: float = 0.0


class Process(_Part, frozen=True, kw_only=True):
    """A process. `cpu_percent` is of one processor, None at the first look; `memory` is resident, in bytes.

    Without its arguments, which may hold secrets: who may read figures is not who may act on the host.
    """

    pid: int
    name: Name
    user: Name = ""
    cpu_percent: float | None = None
    memory: int = 0
    threads: int = 0


class TopProcesses(_Part, frozen=True, kw_only=True):
    """The busiest and the largest processes of all `count` that can be seen."""

    count: int
    by_cpu: Annotated[tuple[Process, ...], Meta(max_length=MAX_TOP)] = ()
    by_memory: Annotated[tuple[Process, ...], Meta(max_length=MAX_TOP)] = ()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that one reading tells. `time` is unix seconds by the center's clock, as the agent knows it.

    What this host can't tell is None or missing, and `unavailable` says why, by the name of the field. Rates
    are missing in an agent's first reading. `processes` are there while somebody watches.
    """

    time: float
    cpu_percent: float | None = None
    mem_percent: float | None = None
    disk_percent: float | None = None
    uptime_s: int | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    swap: Swap | None = None
    load: Load | None = None
    disks: Annotated[tuple[Disk, ...], Meta(max_length=MAX_DISKS)] = ()
    cards: Annotated[tuple[Card, ...], Meta(max_length=MAX_CARDS)] = ()
    processes: TopProcesses | None = None
    left_out: dict[Name, int] = {}
    unavailable: Annotated[dict[Name, Annotated[str, Meta(max_length=1024)]], Meta(max_length=16)] = {}
