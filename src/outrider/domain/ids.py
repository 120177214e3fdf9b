"""Identifiers. They never travel as bare strings: each kind has its own type, prefix and check.

Shape (contract 002): a prefix that names the kind, then 20 url-safe characters. The first nine
are the time of making in milliseconds, so that newer rows sort and index after older ones; the
other eleven are random (55 bits), so that an id can't be guessed from its neighbour.
"""

import re
import secrets
from typing import Final, NewType

AgentId = NewType("AgentId", str)
CommandId = NewType("CommandId", str)
DispatchId = NewType("DispatchId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
TokenId = NewType("TokenId", str)
KeyId = NewType("KeyId", str)
ScheduleId = NewType("ScheduleId", str)
FiringId = NewType("FiringId", str)
DeviceId = NewType("DeviceId", str)
TerminalId = NewType("TerminalId", str)
RuleId = NewType("RuleId", str)
ChannelId = NewType("ChannelId", str)
SilenceId = NewType("SilenceId", str)
AlertId = NewType("AlertId", str)
OutageId = NewType("OutageId", str)
NoticeId = NewType("NoticeId", str)
DeploymentId = NewType("DeploymentId", str)
HostKeyId = NewType("HostKeyId", str)
GroupId = NewType("GroupId", str)
ProfileId = NewType("ProfileId", str)
DialId = NewType("DialId", str)
MicroserviceId = NewType("MicroserviceId", str)
"""Given by whoever names the microservice; `domain.microservices` says its shape."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARACTERS: Final = 9
_RANDOM_CHARACTERS: Final = 11
_BITS: Final = 5
_SHIFTS: Final = tuple(_BITS * place for place in reversed(range(_TIME_CHARACTERS + _RANDOM_CHARACTERS)))
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{12,64}")


def _tail(now: float) -> str:
    number = int(now * 1000) << (_BITS * _RANDOM_CHARACTERS) | secrets.randbits(_BITS * _RANDOM_CHARACTERS)
    return "".join([_ALPHABET[(number >> shift) & 31] for shift in _SHIFTS])


def new_agent_id(now: float) -> AgentId:
    """Make the id of an agent that enrols at unix time `now`."""
    return AgentId(f"agent_{_tail(now)}")


def new_command_id(now: float) -> CommandId:
    """Make the id of a command accepted at unix time `now`."""
    return CommandId(f"cmd_{_tail(now)}")


def new_dispatch_id(now: float) -> DispatchId:
    """Make the id of a dispatch accepted at unix time `now`."""
    return DispatchId(f"dsp_{_tail(now)}")


def new_user_id(now: float) -> UserId:
    """Make the id of a user created at unix time `now`."""
    return UserId(f"user_{_tail(now)}")


def new_session_id(now: float) -> SessionId:
    """Make the id of a signed-in session opened at unix time `now`."""
    return SessionId(f"ses_{_tail(now)}")


def new_token_id(now: float) -> TokenId:
    """Make the id of an API token made at unix time `now`."""
    return TokenId(f"tok_{_tail(now)}")


def new_schedule_id(now: float) -> ScheduleId:
    """Make the id of a schedule made at unix time `now`."""
    return ScheduleId(f"sched_{_tail(now)}")


def new_firing_id(now: float) -> FiringId:
    """Make the id of a schedule's firing at unix time `now`."""
    return FiringId(f"fire_{_tail(now)}")


def new_rule_id(now: float) -> RuleId:
    """Make the id of an alert rule made at unix time `now`."""
    return RuleId(f"rule_{_tail(now)}")


def new_channel_id(now: float) -> ChannelId:
    """Make the id of an alert channel made at unix time `now`."""
    return ChannelId(f"chan_{_tail(now)}")


def new_silence_id(now: float) -> SilenceId:
    """Make the id of a silence made at unix time `now`."""
    return SilenceId(f"sil_{_tail(now)}")


def new_alert_id(now: float) -> AlertId:
    """Make the id of an alert that began at unix time `now`."""
    return AlertId(f"alert_{_tail(now)}")


def new_outage_id(now: float) -> OutageId:
    """Make the id of an outage that began at unix time `now`."""
    return OutageId(f"out_{_tail(now)}")


def new_notice_id(now: float) -> NoticeId:
    """Make the id of a notice written at unix time `now`."""
    return NoticeId(f"ntc_{_tail(now)}")


def new_terminal_id(now: float) -> TerminalId:
    """Make the id of a terminal opened at unix time `now`."""
    return TerminalId(f"term_{_tail(now)}")


def new_deployment_id(now: float) -> DeploymentId:
    """Make the id of a deployment begun at unix time `now`."""
    return DeploymentId(f"dep_{_tail(now)}")


def new_host_key_id(now: float) -> HostKeyId:
    """Make the id of an SSH host key that is remembered at unix time `now`."""
    return HostKeyId(f"hk_{_tail(now)}")


def new_group_id(now: float) -> GroupId:
    """Make the id of a group made at unix time `now`."""
    return GroupId(f"grp_{_tail(now)}")


def new_profile_id(now: float) -> ProfileId:
    """Make the id of a profile made at unix time `now`."""
    return ProfileId(f"prof_{_tail(now)}")


def new_dial_id(now: float) -> DialId:
    """Make the id of a dial added at unix time `now`."""
    return DialId(f"dial_{_tail(now)}")


def has_shape(text: str, prefix: str) -> bool:
    """Tell whether `text` could be an id of the kind that `prefix` (such as ``agent_``) names."""
    return text.startswith(prefix) and _SHAPE.fullmatch(text[len(prefix) :]) is not None
