"""What every command on this host shares."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outrider.engines.commands.cgroups import TaskCgroups
from outrider.kit.clock import Clock

if TYPE_CHECKING:
    from outrider.engines.commands.reboots import Reboots
    from outrider.engines.commands.updates import Updates


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The parts that executions are given.

    `scratch` is the agent's private folder for scripts; `base_environment` are the host's settings for every
    command (a proxy, a time zone); `cgroups` is None where the agent has no part of the cgroup tree. Below
    `root` lies what tells how this host is run. Without `reboots` it is not rebooted, without `updates` its
    agent not updated.
    """

    scratch: Path
    clock: Clock
    base_environment: Mapping[str, str]
    cgroups: TaskCgroups | None
    agent_version: str
    reboots: "Reboots | None" = None
    updates: "Updates | None" = None
    root: Path = Path("/")
