"""`service`: start, stop, restart, enable or disable a service of the host, or ask how it is."""

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from outrider.domain.command_types.faults import ParamFault

Action = Literal["status", "start", "stop", "restart", "enable", "disable"]

STARTING: Final = frozenset({"start", "restart", "enable"})
"""Actions after which the service runs, now or when the host begins."""

MAX_TIMEOUT: Final = 3600.0
_NAME: Final = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9_.:@\\-]*")
_LONGEST: Final = 255
_KINDS: Final = (".service", ".socket", ".timer")
_OTHER_KINDS: Final = (
    ".automount",
    ".device",
    ".mount",
    ".path",
    ".scope",
    ".slice",
    ".snapshot",
    ".swap",
    ".target",
)
HOST_ENDING: Final = frozenset(
    f"{name}.service"
    for name in (
        "emergency",
        "rescue",
        "systemd-halt",
        "systemd-hibernate",
        "systemd-hybrid-sleep",
        "systemd-kexec",
        "systemd-poweroff",
        "systemd-reboot",
        "systemd-soft-reboot",
        "systemd-suspend",
        "systemd-suspend-then-hibernate",
    )
)
"""Units that take the host away when they are started."""


class ServiceParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which service, and what is to become of it."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=_LONGEST,
            extra_json_schema={"pattern": f"^{_NAME.pattern}$"},
            description="A service by its unit's name; `.service` need not be said. Also .socket and .timer.",
        ),
    ]
    action: Annotated[
        Action,
        Meta(
            description="What to do; `enable` and `disable` say whether it begins with the host, and start or"
            " stop nothing; `status` changes nothing. All answer how it is then."
        ),
    ] = "status"
    timeout: Annotated[
        float,
        Meta(gt=0, le=MAX_TIMEOUT, description="Seconds until it is given up; the host may go on with it."),
    ] = 120.0

    def __post_init__(self) -> None:
        """Check the name. Raises ParamFault."""
        unit = unit_of(self.name)
        if self.action in STARTING and unit in HOST_ENDING:
            raise ParamFault("name", f"{unit} takes the host away; use the command type reboot to reboot it")


def unit_of(name: str) -> str:
    """Return the unit that a service's name means. Raises ParamFault for what is no service's name."""
    if _NAME.fullmatch(name) is None:
        raise ParamFault(
            "name", "a service's name has letters, digits and _ . : @ - only, and no pattern; see `services`"
        )
    if name.endswith(_KINDS):
        return name
    if name.endswith(_OTHER_KINDS):
        raise ParamFault("name", f"only units of the kinds {', '.join(_KINDS)} are acted on")
    unit = f"{name}.service"
    if len(unit) > _LONGEST:
        raise ParamFault("name", f"a unit's name has at most {_LONGEST} characters")
    return unit
