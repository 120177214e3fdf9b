"""`GET /api/v3/runs` and `/api/v3/runs/{run_id}`: the job runs of this host."""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from outrider.agent.local import web
from outrider.agent.local.calls import Call
from outrider.agent.local.client.answers import as_json
from outrider.domain.errors import NotFound


class RunShown(msgspec.Struct, frozen=True, kw_only=True):
    """A job run. Sizes are bytes, speeds bytes a second of payload over the last five seconds.

    `id` is the job, `run_id` its run; `eta` is seconds, -1 when unknown; `last_synced` is unix time, 0 for
    never; `type` and `status` are the words of `domain.job_runs`.
    """

    down_speed: int = 0
    errors: list[str] = []
    eta: int = -1
    files_completed: int = 0
    files_total: int = 0
    id: int
    name: str
    path: str
    peers_count: int = 0
    peers_count_proxied: int = 0
    permission: Literal["rw", "ro"]
    run_id: int
    size_completed: int = 0
    size_total: int = 0
    status: str
    transferred_down: int = 0
    transferred_up: int = 0
    type: str
    up_speed: int = 0
    last_synced: int = 0


class RunsSource(Protocol):
    """Knows the job runs of this host."""

    def runs(self) -> Sequence[RunShown]:
        """Return all of them, as they are now."""
        ...


class NoRuns:
    """An agent that runs no jobs."""

    def runs(self) -> Sequence[RunShown]:
        """Return none."""
        return ()


class Runs:
    """Shows job runs."""

    def __init__(self, source: RunsSource) -> None:
        self._source = source

    async def show_all(self, call: Call) -> web.StreamResponse:
        """Answer `GET /api/v3/runs`."""
        return as_json(list(self._source.runs()))

    async def show(self, call: Call) -> web.StreamResponse:
        """Answer `GET /api/v3/runs/{run_id}`: an array of one. Raises NotFound."""
        found = [run for run in self._source.runs() if str(run.run_id) == call.found]
        if not found:
            raise NotFound(f"There is no run {call.found[:40]!r}.")
        return as_json(found)
