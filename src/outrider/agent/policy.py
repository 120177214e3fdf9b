"""The host's own say: a file, owned by root, that forbids what the center may otherwise do here.

    forbid = ["shell", "script"]      # command types, and other abilities by name
    users = ["backup", "nobody"]      # the only users commands may run as
    file_roots = ["/srv", "/var/log"] # the only folders that file abilities may touch
    file_read_only = ["/var/log"]     # folders whose files may be read and not written
    max_parallel = 4                  # how many commands run at once

No file means no rule beyond the center's. A file that is there and can't be relied on - not root's, writable
by others, unreadable, with a key nobody knows - forbids everything, loudly: it was meant to forbid something.
It is looked at before each command, and every few seconds for streams that are open; it is read again when it
has changed.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from outrider.domain.command_types import REGISTRY
from outrider.engines.files.rooted import Roots
from outrider.kit import logs
from outrider.kit.nearest import nearest

log = logs.get(__name__)

STREAMED: Final = ("files", "logs", "metrics", "terminal")
"""Abilities that are no command types: what they do travels on streams."""
ABILITIES: Final = (*sorted(REGISTRY), *STREAMED, "transfers", "robots", "containers")
_RULES_OF: Final = {
    "files": ("file_roots", "file_read_only"),
    "logs": ("file_roots",),
    "terminal": ("users",),
}
_MAX_FILE: Final = 256 * 1024
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class PolicyUnusable(Exception):
    """The policy file is there and can't be relied on; the text says why and what to do."""


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a policy file says."""

    forbid: tuple[str, ...] = ()
    users: tuple[str, ...] | None = None
    file_roots: tuple[str, ...] | None = None
    file_read_only: tuple[str, ...] = ()
    max_parallel: Annotated[int, Meta(ge=1, le=1024)] | None = None


class Policy:
    """The rules in force at one moment. `fault` is set when all is forbidden for want of a good file."""

    def __init__(self, path: Path, rules: Rules, fault: str = "") -> None:
        self._path = path
        self._rules = rules
        self.fault = fault

    @property
    def max_parallel(self) -> int | None:
        """How many commands may run at once, when the policy says."""
        return self._rules.max_parallel

    @property
    def abilities(self) -> tuple[str, ...]:
        """What the center may do here, by name."""
        if self.fault:
            return ()
        return tuple(name for name in (*sorted(REGISTRY), *STREAMED) if name not in self._rules.forbid)

    def file_rules(self) -> Roots:
        """Return the folders whose files may be touched, and those that may only be read. Blocks."""
        return Roots(
            self._rules.file_roots, self._rules.file_read_only, rule=f"This host's policy ({self._path})"
        )

    def forbids(self, ability: str) -> str:
        """Return why this host does not do `ability`, naming the file, or an empty text when it does."""
        if self.fault:
            return self.fault
        if ability in self._rules.forbid:
            return f"This host's policy ({self._path}) forbids {ability}."
        return ""

    def rules_for(self, ability: str) -> tuple[object, ...]:
        """Return what is ruled of an ability on streams, beside `forbids`, to be compared with later."""
        return tuple(getattr(self._rules, name) for name in _RULES_OF.get(ability, ()))

    def refusal(self, kind: str, params: Mapping[str, Any], runs_as: str) -> str:
        """Return why this command may not run here, naming the file, or an empty text when it may.

        `runs_as` is the user a command runs as when it names none.
        """
        if refusal := self.forbids(kind):
            return refusal
        user = params.get("user") or runs_as
        if self._rules.users is not None and user not in self._rules.users:
            allowed = ", ".join(self._rules.users) or "nobody"
            return f"This host's policy ({self._path}) lets commands run as {allowed}, not as {user}."
        return ""


class PolicyFile:
    """Reads the policy when it is asked for, and again when the file has changed."""

    def __init__(self, path: Path, *, owner: int = 0) -> None:
        """`owner` is the user id the file must belong to."""
        self._path = path
        self._owner = owner
        self._mark: tuple[int, ...] | None = None
        self._policy = Policy(path, Rules())

    def current(self) -> Policy:
        """Return the policy in force now. It is one look at the file's dates when nothing has changed."""
        try:
            mark = _mark_of(self._path.stat())
        except FileNotFoundError:
            mark = ()
        except OSError as error:
            return self._unusable(f"can't be looked at: {error.strerror}")
        if mark != self._mark:
            self._policy = self._read() if mark else Policy(self._path, Rules())
            self._mark = mark
        return self._policy

    def _read(self) -> Policy:
        try:
            return Policy(self._path, _parse(_load(self._path, self._owner)))
        except FileNotFoundError:
            return Policy(self._path, Rules())
        except OSError as error:
            return self._unusable(f"can't be read: {error.strerror}")
        except PolicyUnusable as error:
            return self._unusable(str(error))

    def _unusable(self, why: str) -> Policy:
        fault = f"This host's policy {self._path} {why}. Until that is put right, nothing runs here."
        if fault != self._policy.fault:
            log.error("the policy can't be relied on: everything is refused", path=self._path, reason=why)
        return Policy(self._path, Rules(), fault)


def _mark_of(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_uid,
        status.st_mode,
    )


def _load(path: Path, owner: int) -> bytes:
    # Judged by the open file, so that nobody can put another one in its place in between.
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != owner:
            raise PolicyUnusable(f"belongs to user {status.st_uid} instead of root (chown root {path})")
        if status.st_mode & _OTHERS_WRITE:
            raise PolicyUnusable(f"can be written by others (chmod go-w {path})")
        data = file.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise PolicyUnusable(f"is longer than {_MAX_FILE} bytes")
    return data


def _parse(data: bytes) -> Rules:
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyUnusable(f"is not TOML: {error}") from None
    for key in table:
        if key not in Rules.__struct_fields__:
            raise PolicyUnusable(f"has the unknown key {key!r}{_meant(key, Rules.__struct_fields__)}")
    try:
        rules = msgspec.convert(table, Rules)
    except msgspec.ValidationError as error:
        raise PolicyUnusable(f"is wrong: {error}") from None
    for name in rules.forbid:
        if name not in ABILITIES:
            raise PolicyUnusable(f"forbids the unknown ability {name!r}{_meant(name, ABILITIES)}")
    for folder in (*(rules.file_roots or ()), *rules.file_read_only):
        if not folder.startswith("/") or ".." in folder.split("/") or "\0" in folder:
            raise PolicyUnusable(f"names {folder!r}, which is no absolute path of a folder")
    return rules


def _meant(word: str, known: tuple[str, ...]) -> str:
    near = nearest(word, known)
    return f": did you mean {near!r}?" if near else f" (known: {', '.join(known)})"
