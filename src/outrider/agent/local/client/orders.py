"""`PATCH /api/v3/client`: pause, resume and restart, told in the query or in a JSON body."""

from collections.abc import Callable, Mapping
from typing import Final

from outrider.agent.local import web
from outrider.agent.local.calls import Call
from outrider.agent.local.client.answers import Done, as_json, object_in
from outrider.agent.pause import Pause
from outrider.domain.errors import Invalid

MAX_TIMER: Final = 10 * 365 * 86_400
"""Seconds: ten years."""
_TRUTHS: Final[Mapping[object, bool]] = {"true": True, "false": False, True: True, False: False}
_PAUSED: Final = "paused"
_TIMER: Final = "resume_timer"
_RESTART: Final = "restart"
_DIGITS: Final = 10


class Orders:
    """Carries out what a person or a program on this host tells the agent."""

    def __init__(self, pause: Pause, restart: Callable[[], None]) -> None:
        """`restart` begins a restart in place, and returns before anything of it has happened."""
        self._pause = pause
        self._restart = restart

    async def change(self, call: Call) -> web.StreamResponse:
        """Answer `PATCH /api/v3/client`. Nothing is done when anything in it can't be."""
        query = call.request.query
        told: dict[str, object] = {name: query[name] for name in (_PAUSED, _TIMER, _RESTART) if name in query}
        told |= await object_in(call)
        paused, timer, restart = _truth(told, _PAUSED), _timer(told), _truth(told, _RESTART)
        if paused is None and timer is None and restart is None:
            raise Invalid("Say what to change: paused, resume_timer or restart.")
        if timer is not None and paused is None and not self._pause.paused:
            raise Invalid("resume_timer goes with paused=true: the agent is not paused.")
        if paused is False:
            self._pause.resume()
        elif paused or timer is not None:
            self._pause.pause(timer)
        if restart:
            self._restart()
        return as_json(Done())


def _truth(told: Mapping[str, object], name: str) -> bool | None:
    value = told.get(name)
    if value is None and name not in told:
        return None
    # A number equals a truth in Python; on the wire it is none.
    if isinstance(value, str | bool) and value in _TRUTHS:
        return _TRUTHS[value]
    raise Invalid(f"{name} takes true or false.")


def _timer(told: Mapping[str, object]) -> int | None:
    if _TIMER not in told:
        return None
    value = told[_TIMER]
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _DIGITS:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_TIMER:
        return value
    raise Invalid(f"resume_timer takes a number of seconds from 1 to {MAX_TIMER}.")
