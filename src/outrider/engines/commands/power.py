"""How a host is rebooted: by its init, which ends what runs in good order. Never by force."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from outrider.engines.commands import systemd
from outrider.engines.commands.steps import CannotDo, Steps

_PROGRAMS: Final = ("shutdown", "reboot")


class Power(Protocol):
    """What can reboot a host."""

    async def reboot(self, steps: Steps, message: str) -> None:
        """Order the reboot. Raises CannotDo when it was refused; it then does not come."""
        ...


class HostPower:
    """Asks this host's own init: systemd by systemctl, any other by shutdown or reboot."""

    async def reboot(self, steps: Steps, message: str) -> None:
        """Order the reboot. Raises CannotDo when there is no way to, or the init refuses.

        One way is tried. When it is refused another one is not, as nobody could tell then which was heard.
        """
        ran = await steps.program(*_order(steps.root, steps.has, message))
        if ran.exit_code != 0:
            raise CannotDo(f"the host refused to reboot: {ran.said}")


def can_reboot(root: Path, has: Callable[[str], bool]) -> bool:
    """Tell whether there is a way to reboot this host; `has` tells whether a program is there."""
    return (systemd.booted(root) and has(systemd.PROGRAM)) or any(map(has, _PROGRAMS))


def _order(root: Path, has: Callable[[str], bool], message: str) -> tuple[str, ...]:
    if systemd.booted(root) and has(systemd.PROGRAM):
        told = (f"--message={message}",) if message else ()
        return (systemd.PROGRAM, "--no-ask-password", *told, "reboot")
    if has("shutdown"):
        return ("shutdown", "-r", "now", *((message,) if message else ()))
    if has("reboot"):
        return ("reboot",)
    raise CannotDo(
        "this host has neither systemd nor shutdown nor reboot (a container?): nothing can reboot it"
    )
