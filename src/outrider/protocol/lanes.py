"""Lanes: what a host needs to dial the connection that carries a large file's bytes, and nothing else.

A lane is a WebSocket at `PATH`, dialled with the agent's id and key and what the offer says in two headers
more. It carries binary frames in one direction (kit.bulk_frames) and ends with a close; what goes wrong is
said on the stream that it was offered on.
"""

from typing import Final

import msgspec

PATH: Final = "/api/agents/lanes"
ID_HEADER: Final = "X-Lane-Id"
TOKEN_HEADER: Final = "X-Lane-Token"  # noqa: S105 (the name of a header)
WORTH: Final = 1024 * 1024
"""Bytes from which on a lane is worth its dialling."""


class LaneOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What to show when the lane is dialled."""

    lane_id: str
    token: str
