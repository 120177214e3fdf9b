"""What the API shows of files."""

from typing import Annotated

import msgspec
from msgspec import Meta

from outrider.center.files.names import encoded, shown
from outrider.domain.files import FileFacts, FileKind


class FileView(msgspec.Struct, kw_only=True):
    """A file, a folder, a link or something else. Times are unix seconds.

    Of a name that is not UTF-8, `name` shows a likeness and `encoded` is the name itself, percent-encoded.
    """

    name: str
    kind: FileKind
    size: int
    mode: Annotated[str, Meta(description="Octal permission bits, such as 0644.")]
    uid: int
    gid: int
    owner: str
    group: str
    modified: float
    etag: str | None = None
    target: str | None = None
    blake3: str | None = None
    encoded: str | None = None


class Listing(msgspec.Struct, kw_only=True):
    """Entries of a folder in the order of their names. `next` is the `after` of the next page, if any."""

    path: str
    entries: list[FileView]
    next: str | None = None


class Uploaded(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A file that is in its place, or a folder with what was unpacked into it.

    `blake3` is the digest of what was sent, in hex. Of an archive, `files` counts what was unpacked, and
    `left_out` names what was not.
    """

    path: str
    size: int
    blake3: str
    encoded: str | None = None
    files: int | None = None
    left_out: list[str] | None = None
    left_out_total: int | None = None


class FiledView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A folder that was made, or what has another name now: where it really is."""

    path: str
    encoded: str | None = None


class DeletedView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was deleted: where it really was, and how many entries, itself counted."""

    path: str
    deleted: int
    encoded: str | None = None


def view_of(facts: FileFacts) -> FileView:
    """Show a file."""
    return FileView(
        name=shown(facts.name),
        kind=facts.kind,
        size=facts.size,
        mode=f"{facts.mode:04o}",
        uid=facts.uid,
        gid=facts.gid,
        owner=facts.owner,
        group=facts.group,
        modified=facts.modified / 1e9,
        etag=f'"{facts.modified:x}-{facts.size:x}"' if facts.kind is FileKind.FILE else None,
        target=None if facts.target is None else shown(facts.target),
        blake3=facts.digest,
        encoded=encoded(facts.name),
    )
