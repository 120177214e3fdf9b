"""The methods of `outrider.client.files`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Iterator

    from outrider.client.files import Deleted, Download, Filed, FileInfo, Uploaded


class WaitingFiles(Waiting):
    """The methods of Files in `outrider.client.files`; they promise and raise the same."""

    def file(self, agent_id: str, path: str, *, digest: bool = False, length: int | None = None) -> FileInfo:
        """What is at a path of a host; with `digest` also the BLAKE3 of its content."""
        return self._wait(self._center.file(agent_id, path, digest=digest, length=length))

    def files(self, agent_id: str, path: str) -> Iterator[FileInfo]:
        """The entries of a folder of a host, in the order of their names."""
        return self._each(self._center.files(agent_id, path))

    def download(
        self, agent_id: str, path: str, *, start: int = 0, etag: str = "", archive: bool = False
    ) -> Iterator[Download | bytes]:
        """A file of a host, or a folder as tar.gz: first a Download, then its bytes."""
        return self._each(self._center.download(agent_id, path, start=start, etag=etag, archive=archive))

    def upload(  # noqa: PLR0913 - one for each part of the form
        self,
        agent_id: str,
        dest: str,
        content: AsyncIterable[bytes] | Iterable[bytes],
        *,
        size: int | None = None,
        name: str = "",
        mode: str | None = None,
        owner: str | None = None,
        overwrite: bool = True,
        extract: bool = False,
    ) -> Uploaded:
        """Write a file of a host, whole or not at all. `content` is read in the client's own thread."""
        return self._wait(
            self._center.upload(
                agent_id,
                dest,
                content,
                size=size,
                name=name,
                mode=mode,
                owner=owner,
                overwrite=overwrite,
                extract=extract,
            )
        )

    def make_folder(self, agent_id: str, path: str) -> Filed:
        """Make a folder of a host, in one that is there."""
        return self._wait(self._center.make_folder(agent_id, path))

    def move_file(self, agent_id: str, path: str, to: str, *, replace: bool = False) -> Filed:
        """Give a file or a folder of a host another name."""
        return self._wait(self._center.move_file(agent_id, path, to, replace=replace))

    def delete_file(self, agent_id: str, path: str, *, recursive: bool = False) -> Deleted:
        """Delete a file or a folder of a host."""
        return self._wait(self._center.delete_file(agent_id, path, recursive=recursive))
