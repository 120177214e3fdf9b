"""Dispatches that go out by themselves: once, at intervals, or by the calendar."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from outrider.client.asking import Asking, part, said


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule. `when` is {at}, {every, start} or {cron, zone}; `dispatch` is what it sends.

    A firing that was missed for longer than `grace` seconds is left out.
    """

    id: str
    name: str = ""
    when: dict[str, Any] = {}
    dispatch: dict[str, Any] = {}
    enabled: bool = True
    grace: float | None = None
    next: float | None = msgspec.field(name="next_at", default=None)
    created: float | None = None
    created_by: str | None = None


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a schedule was due, or was let fire by hand, and what came of it."""

    time: float
    by_hand: bool = False
    state: str = ""
    dispatch_id: str | None = None
    error_code: str | None = None
    error: str | None = None
    fired: float | None = None


_PATH: Final = "/api/schedules"


class Schedules(Asking):
    """The methods about schedules."""

    async def schedules(self) -> list[Schedule]:
        """All schedules."""
        return await self._transport().ask("GET", _PATH, list[Schedule], repeatable=True)

    async def schedule(self, schedule_id: str) -> Schedule:
        """One schedule. Raises NotFound."""
        return await self._transport().ask("GET", _schedule(schedule_id), Schedule, repeatable=True)

    async def new_schedule(
        self,
        name: str,
        when: dict[str, Any],
        dispatch: dict[str, Any],
        *,
        enabled: bool = True,
        grace: float | None = None,
    ) -> Schedule:
        """Make a schedule; `dispatch` holds what `dispatch()` takes. Raises Invalid, naming the field."""
        body = {
            "name": name,
            "when": when,
            "dispatch": dispatch,
            "enabled": enabled,
            "grace": msgspec.UNSET if grace is None else grace,
        }
        return await self._transport().ask("POST", _PATH, Schedule, body=said(body))

    async def edit_schedule(
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
        values = {"name": name, "when": when, "dispatch": dispatch, "enabled": enabled, "grace": grace}
        body = {field: value for field, value in values.items() if value is not None}
        return await self._transport().ask(
            "PATCH", _schedule(schedule_id), Schedule, body=body, repeatable=True
        )

    async def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule. What it has sent stays."""
        await self._transport().fetch("DELETE", _schedule(schedule_id))

    async def fire_schedule(self, schedule_id: str) -> Firing:
        """Let a schedule fire now, beside its times."""
        return await self._transport().ask("POST", _schedule(schedule_id) + "/fire", Firing)

    async def firings(self, schedule_id: str) -> list[Firing]:
        """When a schedule fired, newest first, and what came of it."""
        return await self._transport().ask(
            "GET", _schedule(schedule_id) + "/firings", list[Firing], repeatable=True
        )


def _schedule(schedule_id: str) -> str:
    return f"{_PATH}/{part(schedule_id)}"
