"""What is said on a stream of kind `files`: one question or one piece of work each.

- `LookAt`: the agent says `FileFacts`. `ListFolder`: it says `Listing`.
- `Fetch`: it says `Opened`; the center answers `Range`; then come bytes and `Fetched`.
- `Pack`: bytes come, then `Packed`.
- `Store`: the agent says `Ready`; the center sends bytes, then `Commit`; the agent says `Written`. Without a
  `Commit` nothing is left on the host.
- `Unpack`: likewise, and the agent says `Packed`. What was unpacked before it broke off stays.
- `MakeFolder`, `Move`, `Delete`: the agent says `Ready`, the center `Go` when it has written down who wants
  that; then it is done, and the agent says `Filed`, or `Deleted`. When the stream ends, a `Delete` stops.

With a lane offered (protocol.lanes) the bytes come on it instead, where the agent can dial it: a download's
`Fetched` follows them on the stream, an upload's `Ready` says `by_lane`.

Whatever goes wrong ends the stream with an error. Paths are bytes, since a host's names need not be text.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from outrider.domain.files import MOST_LISTED, FileFacts, Placing
from outrider.protocol.lanes import LaneOffer

KIND: Final = "files"
WINDOW: Final = 2 * 1024 * 1024
"""Bytes on the way: enough that neither side waits for the other between two pieces."""

HostPath = Annotated[bytes, Meta(min_length=1, max_length=4096)]
Name = Annotated[bytes, Meta(max_length=1024)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="t"):
    pass


class LookAt(_Request, frozen=True, kw_only=True, tag="look_at"):
    """Describe one path; with `digest`, hash the first `length` bytes of its content, or all."""

    path: HostPath
    digest: bool = False
    length: Annotated[int, Meta(ge=0)] | None = None


class ListFolder(_Request, frozen=True, kw_only=True, tag="list"):
    """Describe up to `limit` entries whose names come after `after`."""

    path: HostPath
    after: Name = b""
    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED)] = MOST_LISTED


class Fetch(_Request, frozen=True, kw_only=True, tag="fetch"):
    """Open a file to be read."""

    path: HostPath


class Pack(_Request, frozen=True, kw_only=True, tag="pack"):
    """Pack a folder as tar.gz."""

    path: HostPath


class Store(_Request, frozen=True, kw_only=True, tag="store"):
    """Take a file: `dest` is its path, or an existing folder, where it is called `name`."""

    dest: HostPath
    name: Name = b""
    lane: LaneOffer | None = None


class Unpack(_Request, frozen=True, kw_only=True, tag="unpack"):
    """Take a tar.gz and unpack it below the folder `dest`, which is made when only it is missing."""

    dest: HostPath
    placing: Placing = Placing()


class MakeFolder(_Request, frozen=True, kw_only=True, tag="make_folder"):
    """Make the folder `path`; the one above it is there."""

    path: HostPath


class Move(_Request, frozen=True, kw_only=True, tag="move"):
    """Give what is at `path` the name `to`; what is there already goes only with `replace`."""

    path: HostPath
    to: HostPath
    replace: bool = False


class Delete(_Request, frozen=True, kw_only=True, tag="delete"):
    """Delete what is at `path`; a folder that is not empty only when it is to be `recursive`."""

    path: HostPath
    recursive: bool = False


Deed = MakeFolder | Move | Delete
"""What changes names and no content. An older agent does not know these."""
FileRequest = LookAt | ListFolder | Fetch | Pack | Store | Unpack | Deed


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of a folder in the order of their names; `more` tells whether there are further ones."""

    entries: Annotated[tuple[FileFacts, ...], Meta(max_length=MOST_LISTED)]
    more: bool


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes to be sent of the file that was opened."""

    start: Annotated[int, Meta(ge=0)]
    length: Annotated[int, Meta(ge=0)]
    lane: LaneOffer | None = None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """All was sent; the BLAKE3 of it."""

    digest: str


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The host takes bytes now, for the file or folder that really is at `path`."""

    path: bytes
    by_lane: bool = False


class Go(msgspec.Struct, frozen=True, kw_only=True):
    """It is written down who wants it: do it."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """All `size` bytes were sent: put the file in its place."""

    size: Annotated[int, Meta(ge=0)]
    placing: Placing = Placing()
