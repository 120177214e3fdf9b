"""The one table of command types."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from outrider.domain.command_types.faults import ParamFault
from outrider.domain.command_types.kill import KillParams
from outrider.domain.command_types.packages import PackagesParams
from outrider.domain.command_types.ping import PingParams
from outrider.domain.command_types.processes import ProcessesParams
from outrider.domain.command_types.reboot import RebootParams
from outrider.domain.command_types.script import ScriptParams
from outrider.domain.command_types.service import ServiceParams
from outrider.domain.command_types.services import ServicesParams
from outrider.domain.command_types.shell import ShellParams
from outrider.domain.command_types.system_info import SystemInfoParams
from outrider.domain.command_types.update_agent import UpdateAgentParams
from outrider.domain.errors import BadParams, UnknownType
from outrider.domain.roles import Role


class CommandType(msgspec.Struct, frozen=True, kw_only=True):
    """One type: its name on the wire, its parameters, the least role that may send it."""

    name: str
    params: type[msgspec.Struct]
    role: Role
    summary: str


REGISTRY: Final[dict[str, CommandType]] = {
    kind.name: kind
    for kind in (
        CommandType(
            name="kill",
            params=KillParams,
            role=Role.OPERATOR,
            summary="Send a signal to a process, or to processes by name.",
        ),
        CommandType(
            name="packages",
            params=PackagesParams,
            role=Role.OPERATOR,
            summary="List packages that are installed, or that could be upgraded.",
        ),
        CommandType(name="ping", params=PingParams, role=Role.OPERATOR, summary="Ask the agent to answer."),
        CommandType(
            name="processes",
            params=ProcessesParams,
            role=Role.OPERATOR,
            summary="List what runs on the host.",
        ),
        CommandType(
            name="reboot",
            params=RebootParams,
            role=Role.ADMIN,
            summary="Reboot the host, and tell when it is back.",
        ),
        CommandType(
            name="script",
            params=ScriptParams,
            role=Role.OPERATOR,
            summary="Run a script with an interpreter.",
        ),
        CommandType(
            name="service",
            params=ServiceParams,
            role=Role.OPERATOR,
            summary="Start, stop, restart, enable or disable a service, or ask how it is.",
        ),
        CommandType(
            name="services",
            params=ServicesParams,
            role=Role.OPERATOR,
            summary="List the host's services.",
        ),
        CommandType(
            name="shell", params=ShellParams, role=Role.OPERATOR, summary="Run a line with /bin/sh -c."
        ),
        CommandType(
            name="system_info",
            params=SystemInfoParams,
            role=Role.OPERATOR,
            summary="Report facts about the host.",
        ),
        CommandType(
            name="update_agent",
            params=UpdateAgentParams,
            role=Role.ADMIN,
            summary="Replace the agent by another version, and go back if it does not prove good.",
        ),
    )
}

_PATH: Final = re.compile(r" - at (?:`\w+` in )?`\$\.?(?P<path>[^`]*)`$")
_NAMED: Final = re.compile(r"(?:unknown|required) field `(?P<name>[^`]*)`")


def _field_of(message: str) -> tuple[str, str]:
    """Split a validation message into the field it is about and the reason."""
    path = _PATH.search(message)
    reason = message[: path.start()] if path else message
    named = _NAMED.search(message)
    parts = [part for part in (path["path"] if path else "", named["name"] if named else "") if part]
    return ".".join(parts) or "params", reason


def parse_params(name: str, params: Any, *, strict: bool = True) -> msgspec.Struct:
    """Check `params` (plain data) against the type called `name`.

    Where they come as text alone (a command line), `strict` is False: `42` and `true` are then what they say.
    Raises `UnknownType` (fields: type, known) or `BadParams` (fields: field, reason).
    """
    kind = REGISTRY.get(name)
    if kind is None:
        known = sorted(REGISTRY)
        raise UnknownType(
            f"There is no command type {name[:80]!r}. Known types: {', '.join(known)}.",
            type=name[:80],
            known=known,
        )
    try:
        return msgspec.convert(params, kind.params, strict=strict)
    except msgspec.ValidationError as error:
        fault = error.__cause__
        if isinstance(fault, ParamFault):
            field, reason = fault.field, str(fault)
        else:
            field, reason = _field_of(str(error))
        raise BadParams(f"Parameter {field} of {name}: {reason}.", field=field, reason=reason) from None


def describe() -> list[dict[str, Any]]:
    """List every type with its JSON schema, for `GET /api/agents/command-types`."""
    return [
        {
            "type": kind.name,
            "summary": kind.summary,
            "role": kind.role.value,
            "params": msgspec.json.schema(kind.params),
        }
        for kind in REGISTRY.values()
    ]


_SECRETS: Final = frozenset({"env", "stdin"})
_LONGEST: Final = 2_000


def for_audit(params: Mapping[str, Any]) -> dict[str, Any]:
    """Cut a command's parameters to what the audit log keeps of them.

    What people pass secrets in is blanked: the names of environment variables stay, their values and the
    standard input do not. Long texts are cut, and say so.
    """
    return {key: _audited(key, value) for key, value in params.items()}


def _audited(key: str, value: Any) -> Any:
    if key in _SECRETS and value:
        return dict.fromkeys(value, "***") if isinstance(value, Mapping) else "***"
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}... ({len(value)} characters)"
    return value
