"""The short form of an enrolment key: eight characters for typing by hand.

It stands for its key at one center and carries no pin. The letters are those of Crockford's base32, which has
no I, L, O and U: what people read as one of the others is taken for it.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 8
_MAX_TEXT: Final = 64
_SHORT: Final = re.compile(f"[{_LETTERS}]{{{_LENGTH}}}", re.ASCII)
_BETWEEN: Final = re.compile(r"[ -]")
_MEANT: Final = str.maketrans("OIL", "011")


def new_short_form() -> str:
    """Make one: 8 characters, 40 random bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def read_short_form(text: str) -> str | None:
    """Return the 8 characters that somebody has typed, however they wrote them; None for any other text.

    Small letters, spaces and hyphens do not matter; O is read as 0, I and L as 1.
    """
    if len(text) > _MAX_TEXT or not text.isascii():
        return None
    read = _BETWEEN.sub("", text.strip()).upper().translate(_MEANT)
    return read if _SHORT.fullmatch(read) else None
