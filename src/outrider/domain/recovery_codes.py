"""Recovery codes: what signs in once each when the authenticator app is lost."""

import hashlib
import secrets
from typing import Final

COUNT: Final = 10
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUPS: Final = 4
_GROUP: Final = 4


def make() -> str:
    """Make a code of 80 random bits, in groups that people can copy."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def hash_of(code: str, *, user_id: str) -> bytes:
    """Hash a code as a person types it: case, spaces and dashes do not count.

    80 random bits are hidden well enough by a fast hash; the user's id keeps equal codes apart.
    """
    normal = "".join(character for character in code.lower() if character in _ALPHABET)
    return hashlib.sha256(f"{user_id} {normal}".encode()).digest()
