"""`service`: one service of this host, started, stopped, restarted, enabled, disabled, or only looked at."""

from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from outrider.domain.command_types.service import HOST_ENDING, STARTING, ServiceParams, unit_of
from outrider.domain.looks import Service
from outrider.engines.commands import systemd
from outrider.engines.commands.assignment import Assignment
from outrider.engines.commands.execution import Execution
from outrider.engines.commands.steps import Answer, CannotDo, Steps, Stopped, steps_of

_OWN_CGROUP: Final = "proc/self/cgroup"
_NEVER_BY_ITSELF: Final = frozenset({"static", "generated", "transient"})
_GOES_ON: Final = "systemd may go on with it; the action `status` tells"


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed: how the service was, and how it is."""

    action: str
    before: Service
    service: Service


def begin(assignment: Assignment[ServiceParams]) -> Execution:
    """Prepare the action; nothing is asked of systemd before it runs."""
    params = assignment.params
    return steps_of(assignment, partial(_act, params), timeout=params.timeout)


async def _act(params: ServiceParams, steps: Steps) -> Answer:
    unit = unit_of(params.name)
    systemd.require(steps, f"{unit} can't be looked at or acted on")
    before = await _one(unit, steps)
    if params.action == "status":
        return Answer(stdout=_told(params, before, before))
    await steps.in_thread(partial(_refuse, params, before, steps.root))
    try:
        ran = await systemd.ask(steps, params.action, "--", before.name)
    except Stopped:
        steps.notes.append(_GOES_ON)
        raise
    after = await _one(unit, steps)
    failed = ""
    if ran.exit_code != 0:
        failed = f"systemd could not {params.action} {before.name}: {ran.said}"
    elif params.action == "enable" and after.enabled == before.enabled and before.enabled in _NEVER_BY_ITSELF:
        # systemctl takes a unit file without [Install] for done.
        failed = f"{before.name} is {before.enabled}: it can't begin with the host by itself"
    return Answer(stdout=_told(params, before, after), failed=failed)


async def _one(unit: str, steps: Steps) -> Service:
    found = await systemd.show(steps, unit)
    if len(found) != 1 or found[0].load == "not-found":
        raise CannotDo(f"there is no {unit} on this host; `services` lists what there is")
    return found[0]


def _refuse(params: ServiceParams, found: Service, root: Path) -> None:
    """Raise CannotDo for what must not be done to the unit that a name really means."""
    if params.action in STARTING and found.name in HOST_ENDING:
        raise CannotDo(f"{found.name} takes the host away; use the command type reboot to reboot it")
    own = systemd.own_units((root / _OWN_CGROUP).read_text(encoding="utf-8", errors="replace"))
    if found.name not in own:
        return
    if params.action in ("stop", "restart"):
        raise CannotDo(
            f"{found.name} is the service of the agent itself, which could not tell what came of it; use"
            f" `systemctl {params.action}` on the host"
        )
    if params.action == "disable":
        raise CannotDo(
            f"{found.name} is the service of the agent itself: the host would be away after its next start;"
            " use `systemctl disable` on the host"
        )


def _told(params: ServiceParams, before: Service, after: Service) -> bytes:
    told = _Told(action=params.action, before=before, service=after)
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"
