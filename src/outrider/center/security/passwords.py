"""Passwords, hashed with argon2id.

Every function here takes tens of milliseconds of CPU and about 64 MiB on purpose, and is plain and
synchronous: callers run it off the event loop (`asyncio.to_thread`), and bound how many run at once.
"""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from outrider.domain.errors import Invalid

_MAX_PASSWORD_BYTES = 1024
_HASHER = PasswordHasher()


class PasswordRefused(Invalid):
    """A password that is not taken: too short, too long, the user's name, or the old one."""

    code = "password_refused"


def hash_password(password: str) -> str:
    """The text to store for a password. Raises PasswordRefused when it is empty or over 1024 bytes."""
    if not password:
        raise PasswordRefused("the password is empty", field="password")
    if len(_encode(password)) > _MAX_PASSWORD_BYTES:
        raise PasswordRefused(f"the password is longer than {_MAX_PASSWORD_BYTES} bytes", field="password")
    return _HASHER.hash(_encode(password))


def verify_password(password: str, stored: str | None) -> bool:
    """Whether the password is the one behind `stored`; for an unknown user pass None.

    None costs as much time as a real hash, so that an answer's time does not tell which users exist. A
    password that is too long to be anyone's is refused before any work. Raises ValueError when `stored` is no
    argon2 hash: the database is damaged, which must not pass for a wrong password.
    """
    encoded = _encode(password)
    if len(encoded) > _MAX_PASSWORD_BYTES:
        return False
    try:
        _HASHER.verify(_nobodys_hash() if stored is None else stored, encoded)
    except VerificationError:
        return False
    return stored is not None


def needs_rehash(stored: str) -> bool:
    """Whether a stored hash was made with weaker settings than today's; hash again at the next good login."""
    return _HASHER.check_needs_rehash(stored)


def _encode(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(b"the password of nobody")
