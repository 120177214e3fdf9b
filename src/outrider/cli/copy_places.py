"""Where a copy comes from and goes to: `host:/path`, a path here, or `-`."""

from __future__ import annotations

from dataclasses import dataclass

from outrider.domain.errors import Invalid
from outrider.kit.printable import escape

STANDARD = "-"


@dataclass(frozen=True, slots=True)
class CopyPlace:
    """One end of a copy. `host` is None for this machine; `-` as its path is standard input or output."""

    host: str | None
    path: str

    @property
    def is_standard(self) -> bool:
        """Whether it is standard input or output."""
        return self.host is None and self.path == STANDARD

    @property
    def name(self) -> str:
        """What the file or folder is called."""
        return self.path.rstrip("/").rpartition("/")[2]

    def __str__(self) -> str:
        return escape(self.path if self.host is None else f"{self.host}:{self.path}")


def parse_place(text: str) -> CopyPlace:
    """Read a place as a person types it. Raises Invalid.

    What comes before a colon is a host, unless there is a slash in it: a file here that has a colon in its
    name is `./its:name`.
    """
    if text.startswith("-") and text != STANDARD:
        raise Invalid(f"Unknown option: {escape(text)[:80]}. A file of that name is ./{escape(text)[:80]}")
    host, colon, path = text.partition(":")
    if not colon or not host or "/" in host:
        if not text:
            raise Invalid("A place is a path, or host:/path; it can't be empty.")
        return CopyPlace(None, text)
    if not path.startswith("/"):
        raise Invalid(
            f"Give a path on {escape(host)} that begins with /, not {escape(path)[:80]!r}; "
            f"or, for a file here, ./{escape(text)[:80]}"
        )
    return CopyPlace(host, path)


def on_host(text: str) -> tuple[str, str]:
    """Return the host and the path of `host:/path`. Raises Invalid for anything else."""
    place = parse_place(text)
    if place.host is None:
        raise Invalid(f"Say which host, as in web-01:/path, not {escape(text)[:80]!r}.")
    return place.host, place.path
