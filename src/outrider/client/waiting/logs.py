"""The methods of `outrider.client.logs`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.asking import STREAM_PATIENCE
from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outrider.client.logs import LogStep


class WaitingLogs(Waiting):
    """The methods of Logs in `outrider.client.logs`; they promise and raise the same."""

    def logs(  # noqa: PLR0913 - one for each part of the query
        self,
        agent_id: str,
        *,
        unit: str | None = None,
        path: str | None = None,
        lines: int | None = None,
        priority: str | int | None = None,
        grep: str | None = None,
        since: float | None = None,
        follow: bool = True,
        after: str = "",
        wait: bool = False,
        patience: float | None = STREAM_PATIENCE,
    ) -> Iterator[LogStep]:
        """A host's log: the file `path`, else its journal; the last `lines` lines and what follows."""
        return self._each(
            self._center.logs(
                agent_id,
                unit=unit,
                path=path,
                lines=lines,
                priority=priority,
                grep=grep,
                since=since,
                follow=follow,
                after=after,
                wait=wait,
                patience=patience,
            )
        )
