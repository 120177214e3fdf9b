"""What users may be called. Names are matched without case: there is one `admin`, however it is typed."""

import re
from typing import Final

MAX_LENGTH: Final = 100
_SHAPE: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
_FOREIGN: Final = re.compile(r"[^a-z0-9._@+-]+")


def normal(text: str) -> str:
    """Write a name as it is kept and looked for."""
    return text.strip().lower()


def reason_against(name: str) -> str | None:
    """Say what is wrong with a normal name; None when nothing is."""
    if _SHAPE.fullmatch(name):
        return None
    return (
        "A user name is 1 to 100 of a-z, 0-9 and . _ @ + -, and begins with a letter or digit:"
        f" not {name[:100]!r}."
    )


def from_words(text: str) -> str:
    """Make a name of what somebody is called elsewhere; empty when nothing is left of it."""
    return _FOREIGN.sub(".", normal(text)).lstrip("._@+-")[:MAX_LENGTH]
