"""Password hashing off the event loop, few at once."""

import asyncio
from typing import Final

from outrider.center.security import passwords

_AT_ONCE: Final = 2
"""Argon2 takes tens of megabytes and milliseconds by design: few run at once, the others wait."""


class Hashing:
    """Makes and checks password hashes."""

    def __init__(self) -> None:
        """Begin with nothing running."""
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        """Make the text to store for a password. Raises PasswordRefused."""
        async with self._turn:
            return await asyncio.to_thread(passwords.hash_password, password)

    async def verify(self, password: str, stored: str | None) -> bool:
        """Tell whether the password is the one behind `stored`; for nobody's (None or empty) it never is."""
        async with self._turn:
            return await asyncio.to_thread(passwords.verify_password, password, stored or None)
