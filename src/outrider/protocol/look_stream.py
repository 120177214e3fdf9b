"""What is said on a stream that is a look: of kind `processes`, or `services`.

The kinds are called as the command types are whose answers they give, so that a host's policy means both. The
agent answers a `Look` with one JSON object as bytes, of the tables in `domain/looks.py`, and ends.
"""

from typing import Any, Final

import msgspec

KINDS: Final = ("processes", "services")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The request: parameters of the command type of this name, which the host checks itself."""

    params: dict[str, Any] = {}
