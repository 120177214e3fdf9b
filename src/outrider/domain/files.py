"""What is known of a file on a host, as the host tells it and the center keeps it.

Paths and names are bytes: a host's names need not be text. Times are nanoseconds since 1970, sizes bytes.
"""

from enum import StrEnum
from typing import Final

import msgspec

MOST_LISTED: Final = 1000
"""Entries of a folder in one answer."""
MOST_LEFT_OUT: Final = 100
"""Members that could not be packed or unpacked, as they are named one by one; more are only counted."""


class FileKind(StrEnum):
    """What a name stands for."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    DEVICE = "device"
    FIFO = "fifo"
    SOCKET = "socket"


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a folder. `mode` are the permission bits; `owner` and `group` are empty without a name.

    `target` is where a link points; `digest` the BLAKE3 of the content, where it was asked for.
    """

    name: bytes
    kind: FileKind
    size: int
    mode: int
    uid: int
    gid: int
    owner: str = ""
    group: str = ""
    modified: int
    target: bytes | None = None
    digest: str | None = None


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is open to be read."""

    size: int
    modified: int
    inode: int


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written: where it really is, its size, and its BLAKE3 in hex."""

    path: bytes
    size: int
    digest: str


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A member that could not be packed or unpacked, and why."""

    name: str
    reason: str


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """What went into an archive, or came out of it. `left_out` names the first ones of `left_out_total`."""

    path: bytes
    files: int
    size: int
    left_out: tuple[LeftOut, ...] = ()
    left_out_total: int = 0
    digest: str = ""


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """How a file takes its place. None and empty: as the file it replaces, else 0644 and the agent's own."""

    mode: int | None = None
    owner: str = ""
    overwrite: bool = True


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that was made, or something that has another name now: where it really is."""

    path: bytes


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted: where it really was, and how many entries, itself counted."""

    path: bytes
    deleted: int
