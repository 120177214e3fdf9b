"""The methods of `outrider.client.dispatches`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outrider.client.asking import STREAM_PATIENCE
from outrider.client.dispatches import OUTPUT_PAGE
from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from outrider.client.dispatches import Dispatch, DispatchCommand, DispatchProgress, TargetPreview


class WaitingDispatches(Waiting):
    """The methods of Dispatches in `outrider.client.dispatches`; they promise and raise the same."""

    def preview_target(self, target: str, *, limit: int | None = None) -> TargetPreview:
        """Say whom a target means now. Raises InvalidTarget, which points at the mistake."""
        return self._wait(self._center.preview_target(target, limit=limit))

    def dispatch(
        self,
        target: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        concurrency: int | None = None,
        max_failures: int | str | None = None,
        ttl: float | None = None,
        offline: str | None = None,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Send one command to all agents that `target` means; the answer means that it is on disk."""
        return self._wait(
            self._center.dispatch(
                target,
                kind,
                params,
                concurrency=concurrency,
                max_failures=max_failures,
                ttl=ttl,
                offline=offline,
                idempotency_key=idempotency_key,
            )
        )

    def update_agents(
        self,
        target: str,
        *,
        version: str = "",
        force: bool = False,
        concurrency: int | None = 5,
        max_failures: int | str | None = 0,
        offline: str | None = "skip",
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Update the agents of all hosts that `target` means, as a dispatch that rolls."""
        return self._wait(
            self._center.update_agents(
                target,
                version=version,
                force=force,
                concurrency=concurrency,
                max_failures=max_failures,
                offline=offline,
                idempotency_key=idempotency_key,
            )
        )

    def dispatches(self, *, state: str | None = None, page: int = 100) -> Iterator[Dispatch]:
        """The dispatches, newest first, page by page."""
        return self._each(self._center.dispatches(state=state, page=page))

    def dispatch_facts(self, dispatch_id: str) -> Dispatch:
        """One dispatch as it stands. Raises NotFound."""
        return self._wait(self._center.dispatch_facts(dispatch_id))

    def dispatch_commands(
        self, dispatch_id: str, *, state: str | None = None, page: int = OUTPUT_PAGE
    ) -> Iterator[DispatchCommand]:
        """The commands of a dispatch with what came of them, page by page."""
        return self._each(self._center.dispatch_commands(dispatch_id, state=state, page=page))

    def cancel_dispatch(self, dispatch_id: str) -> Dispatch:
        """Begin no more of it, and ask for what runs to be ended."""
        return self._wait(self._center.cancel_dispatch(dispatch_id))

    def retry_dispatch(self, dispatch_id: str, *, idempotency_key: str | None = None) -> Dispatch:
        """Send it again to the agents where it did not succeed, as a new dispatch."""
        return self._wait(self._center.retry_dispatch(dispatch_id, idempotency_key=idempotency_key))

    def follow_dispatch(
        self, dispatch_id: str, *, live: bool = True, patience: float | None = STREAM_PATIENCE
    ) -> Iterator[DispatchProgress]:
        """Follow a dispatch from its beginning: pieces and changes as they come, last the Dispatch itself."""
        return self._each(self._center.follow_dispatch(dispatch_id, live=live, patience=patience))
