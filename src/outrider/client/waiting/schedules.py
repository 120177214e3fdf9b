"""The methods of `outrider.client.schedules`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from outrider.client.schedules import Firing, Schedule


class WaitingSchedules(Waiting):
    """The methods of Schedules in `outrider.client.schedules`; they promise and raise the same."""

    def schedules(self) -> list[Schedule]:
        """All schedules."""
        return self._wait(self._center.schedules())

    def schedule(self, schedule_id: str) -> Schedule:
        """One schedule. Raises NotFound."""
        return self._wait(self._center.schedule(schedule_id))

    def new_schedule(
        self,
        name: str,
        when: dict[str, Any],
        dispatch: dict[str, Any],
        *,
        enabled: bool = True,
        grace: float | None = None,
    ) -> Schedule:
        """Make a schedule; `dispatch` holds what `dispatch()` takes. Raises Invalid, naming the field."""
        return self._wait(self._center.new_schedule(name, when, dispatch, enabled=enabled, grace=grace))

    def edit_schedule(
        self,
        schedule_id: str,
        *,
        name: str | None = None,
        when: dict[str, Any] | None = None,
        dispatch: dict[str, Any] | None = None,
        enabled: bool | None = None,
        grace: float | None = None,
    ) -> Schedule:
        """Change a schedule; None leaves as it is."""
        return self._wait(
            self._center.edit_schedule(
                schedule_id, name=name, when=when, dispatch=dispatch, enabled=enabled, grace=grace
            )
        )

    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule. What it has sent stays."""
        self._wait(self._center.delete_schedule(schedule_id))

    def fire_schedule(self, schedule_id: str) -> Firing:
        """Let a schedule fire now, beside its times."""
        return self._wait(self._center.fire_schedule(schedule_id))

    def firings(self, schedule_id: str) -> list[Firing]:
        """When a schedule fired, newest first, and what came of it."""
        return self._wait(self._center.firings(schedule_id))
