"""Looks: what a host shows of itself when it is asked, and nobody keeps. Its processes, and its services."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_LOOK: Final = 4 * 1024 * 1024
"""Bytes of one answer, as JSON; rows beyond it are left out, and counted."""

_Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""What programs in any language read exactly."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process. `pid` and `start_ticks` (clock ticks since boot) together name it for good.

    `cpu_percent` is of one processor, so that 400 means four of them; `started` is unix seconds. `state` is
    running, sleeping, waiting (for a disk), stopped, traced, zombie, idle, or the kernel's letter.
    """

    pid: _Count
    ppid: _Count
    user: str
    name: str
    command: str
    state: str
    cpu_percent: float
    rss_bytes: _Count
    started: float
    start_ticks: _Count


class ProcessTable(msgspec.Struct, frozen=True, kw_only=True):
    """What runs on a host. `count` is how many there are that fit; `left_out` those too many for an answer.

    `hidden` says that, and why, processes of other users are hidden from the agent; empty when none are.
    """

    count: _Count
    left_out: _Count = 0
    hidden: str = ""
    processes: list[Process]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A unit in systemd's own words.

    `load` is loaded, not-found, masked, error, or unloaded for one that only lies on disk. `active` is
    active, reloading, inactive, failed, activating or deactivating, and `since` (unix seconds) when that last
    changed. `enabled` is whether it begins with the host. None is what systemd does not tell.
    """

    name: str
    description: str
    load: str
    active: str
    sub: str
    enabled: str
    pid: _Count | None = None
    memory_bytes: _Count | None = None
    restarts: _Count | None = None
    result: str = ""
    exit_status: _Count | None = None
    since: float | None = None


class ServiceTable(msgspec.Struct, frozen=True, kw_only=True):
    """A host's services, by name; `count` and `left_out` as of processes."""

    count: _Count
    left_out: _Count = 0
    services: list[Service]
