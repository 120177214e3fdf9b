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
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
TokenId = NewType("TokenId", str)
KeyId = NewType("KeyId", str)
DeviceId = NewType("DeviceId", str)

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARACTERS: Final = 9
_RANDOM_CHARACTERS: Final = 11
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{12,64}")


def _tail(now: float) -> str:
    milliseconds = int(now * 1000)
    stamp = "".join(
        _ALPHABET[(milliseconds >> shift) & 31] for shift in range((_TIME_CHARACTERS - 1) * 5, -1, -5)
    )
    return stamp + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def new_agent_id(now: float) -> AgentId:
    """Make the id of an agent that enrols at unix time `now`."""
    return AgentId(f"agent_{_tail(now)}")


def new_command_id(now: float) -> CommandId:
    """Make the id of a command accepted at unix time `now`."""
    return CommandId(f"cmd_{_tail(now)}")


def new_user_id(now: float) -> UserId:
    """Make the id of a user created at unix time `now`."""
    return UserId(f"user_{_tail(now)}")


def new_session_id(now: float) -> SessionId:
    """Make the id of a signed-in session opened at unix time `now`."""
    return SessionId(f"ses_{_tail(now)}")


def new_token_id(now: float) -> TokenId:
    """Make the id of an API token made at unix time `now`."""
    return TokenId(f"tok_{_tail(now)}")


def has_shape(text: str, prefix: str) -> bool:
    """Tell whether `text` could be an id of the kind that `prefix` (such as ``agent_``) names."""
    return text.startswith(prefix) and _SHAPE.fullmatch(text[len(prefix) :]) is not None
