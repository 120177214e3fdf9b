"""The store behind the setting for blobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from outrider.center.blobs.contract import BlobsUrlRefused
from outrider.center.blobs.folder import open_folder

if TYPE_CHECKING:
    from outrider.center.blobs.contract import Blobs


def open_blobs(url: str | None, *, home: Path) -> Blobs:
    """The blobs behind a setting: `file:///folder` or `s3://bucket/prefix?endpoint=...&region=...`.

    None is the folder `blobs` in the home folder. S3's credentials come from where its tools look for them
    (`AWS_ACCESS_KEY_ID` and the like). Raises BlobsUrlRefused, naming what is supported.
    """
    folder = folder_of(url, home=home)
    if folder is not None:
        return open_folder(folder)
    # Not loaded for a folder: obstore costs memory, threads and start-up time.
    from outrider.center.blobs.bucket import open_bucket  # noqa: PLC0415 - see above

    return open_bucket(urlsplit(url or ""))


def folder_of(url: str | None, *, home: Path) -> Path | None:
    """The local folder behind the setting, in which each blob is a file named by its key; None for a bucket.

    Raises BlobsUrlRefused, naming what is supported.
    """
    if not url:
        return home / "blobs"
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/") or parts.query:
                raise BlobsUrlRefused(f"{url!r} is no local folder: write file:///folder")
            return Path(unquote(parts.path))
        case "s3":
            return None
        case scheme:
            raise BlobsUrlRefused(
                f"blobs can't be kept at {scheme or url!r}: write file:///folder or s3://bucket/prefix",
            )
