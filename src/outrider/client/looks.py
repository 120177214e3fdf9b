"""Hosts looked at as they are now: what runs there, and their services."""

from __future__ import annotations

import msgspec

from outrider.client.asking import Asking, given, part


class HostProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process. `pid` and `start_ticks` together name it for good: give both to a `kill`.

    `cpu_percent` is of one processor, so that 400 means four of them; `started` is in unix seconds.
    """

    pid: int
    ppid: int = 0
    user: str = ""
    name: str = ""
    command: str = ""
    state: str = ""
    cpu_percent: float = 0.0
    rss_bytes: int = 0
    started: float = 0.0
    start_ticks: int = 0


class HostProcesses(msgspec.Struct, frozen=True, kw_only=True):
    """What runs on a host: `count` fit, `left_out` of those asked for were too many for the answer.

    `hidden` says why processes of other users are hidden from the agent, where they are.
    """

    count: int
    left_out: int = 0
    hidden: str = ""
    processes: list[HostProcess] = []


class HostService(msgspec.Struct, frozen=True, kw_only=True):
    """A service in systemd's own words; `since` is in unix seconds. None is what systemd does not tell."""

    name: str
    description: str = ""
    load: str = ""
    active: str = ""
    sub: str = ""
    enabled: str = ""
    pid: int | None = None
    memory_bytes: int | None = None
    restarts: int | None = None
    result: str = ""
    exit_status: int | None = None
    since: float | None = None


class HostServices(msgspec.Struct, frozen=True, kw_only=True):
    """A host's services, by name."""

    count: int
    left_out: int = 0
    services: list[HostService] = []


class Looks(Asking):
    """The methods that look at a host. No command is sent, and nobody keeps what they tell."""

    async def processes(
        self,
        agent_id: str,
        *,
        sort: str | None = None,
        limit: int | None = None,
        match: str | None = None,
        owner: str | None = None,
        sample: float | None = None,
    ) -> HostProcesses:
        """What runs on a host now: the busiest 100, unless told otherwise as the type `processes` is.

        Raises NotFound, HostAway, Forbidden where the host's policy forbids it, Invalid, what the host says.
        """
        query = given({"sort": sort, "limit": limit, "match": match, "owner": owner, "sample": sample})
        where = f"/api/agents/{part(agent_id)}/processes"
        return await self._transport().ask("GET", where, HostProcesses, query=query, repeatable=True)

    async def services(
        self, agent_id: str, *, state: str | None = None, match: str | None = None
    ) -> HostServices:
        """The services of a host as they are now. Raises as `processes`; Conflict without systemd."""
        query = given({"state": state, "match": match})
        where = f"/api/agents/{part(agent_id)}/services"
        return await self._transport().ask("GET", where, HostServices, query=query, repeatable=True)
