"""The centers this person has signed in to: `~/.config/outrider/centers.toml`, readable by them alone."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from outrider.domain.errors import Invalid, NotFound, Unauthenticated
from outrider.kit.files import FileTooLarge, read_bounded, write_atomically
from outrider.kit.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_FILE: Final = 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SavedCenter(msgspec.Struct, frozen=True, kw_only=True):
    """A center, who we are there, and how we know it."""

    url: str
    username: str = ""
    #: Empty after signing out.
    token: str = ""
    #: PEM of the authority to trust; empty for the system's.
    authority: str = ""
    #: Plain http was allowed although the address is another machine's.
    allow_plain: bool = False


class Centers(msgspec.Struct, frozen=True, kw_only=True):
    """All saved centers by name; `current` is the one signed in to last."""

    current: str = ""
    centers: dict[str, SavedCenter] = {}

    def find(self, name: str | None) -> tuple[str, SavedCenter]:
        """The center with this name, or the current one. Raises NotFound or Unauthenticated."""
        wanted = name or self.current
        if not wanted:
            raise Unauthenticated("You are not signed in to a center. Sign in with `outrider login [URL]`.")
        saved = self.centers.get(wanted)
        if saved is None:
            guess = nearest(wanted, self.centers)
            hint = (
                f"Did you mean {guess}?" if guess else f"Saved: {', '.join(sorted(self.centers)) or 'none'}."
            )
            raise NotFound(
                f"There is no saved center {wanted!r}. {hint} `outrider login URL --center {wanted}` adds it."
            )
        return wanted, saved

    def with_center(self, name: str, saved: SavedCenter) -> Centers:
        """The same with this center added or replaced, and current."""
        return Centers(current=name, centers={**self.centers, name: saved})


def check_name(name: str) -> str:
    """Return a name that a center can be saved under. Raises Invalid."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name[:80]!r} can't name a center: use letters, digits and . _ - (64 at most).", field="center"
        )
    return name


def default_path(environ: Mapping[str, str]) -> Path:
    """Where the file is for the person with this environment (XDG base directories)."""
    configured = environ.get("XDG_CONFIG_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path.home() / ".config"
    return base / "outrider" / "centers.toml"


def load(path: Path) -> Centers:
    """Read the file; no file is no centers. Raises Invalid, naming the file, when it can't be read."""
    try:
        text = read_bounded(path, _MAX_FILE).decode()
        return msgspec.convert(tomllib.loads(text), Centers)
    except FileNotFoundError:
        return Centers()
    except (OSError, FileTooLarge, ValueError, msgspec.ValidationError) as error:
        raise Invalid(
            f"{path} can't be read ({error}). Mend it, or remove it and sign in again.", field="centers"
        ) from None


def save(path: Path, centers: Centers) -> None:
    """Write the file whole, readable by its owner alone. Raises Invalid, naming the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, format_toml(centers).encode(), mode=0o600)
    except OSError as error:
        raise Invalid(f"{path} can't be written: {os.strerror(error.errno or 0)}.", field="centers") from None


def format_toml(centers: Centers) -> str:
    """The file's text, which `load` reads back."""
    lines = [f"current = {_quoted(centers.current)}"]
    for name, saved in sorted(centers.centers.items()):
        lines += ["", f"[centers.{_quoted(name)}]"]
        for field, value in msgspec.structs.asdict(saved).items():
            if value:
                lines.append(f"{field} = {'true' if value is True else _quoted(value)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # JSON's strings are TOML's basic strings, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
