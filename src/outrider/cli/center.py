"""`outrider center`: for the owner of its machine: back it up, restore it, let people in, make bundles.

It works on the center's own data and needs no sign-in: who may read that data is the owner.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli import center_bundle
from outrider.cli.app import make_app
from outrider.cli.owner import DatabaseUrl, Home, owner, say, settings_of
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from cyclopts import App

PassphraseFile = Annotated[
    Path | None, Parameter(help="File with the passphrase that seals the backup, alone on its first line.")
]
_MEGABYTE: Final = 1_000_000


def command() -> App:
    """Make the command."""
    app = make_app(
        "outrider center",
        summary="Alone: run the control center. On its machine: back it up, restore it, reset a password.",
    )
    app.command(backup)
    app.command(restore)
    app.command(reset_password, name="reset-password")
    app.command(center_bundle.command(), name="bundle")
    return app


def backup(
    file: Annotated[Path, Parameter(help="Where the backup goes; it must not be there yet.")],
    /,
    *,
    home: Home = None,
    database_url: DatabaseUrl = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write everything the center knows into one file, while it runs or not.

    The file holds every secret of the center: keep it where nobody else reads it, or seal it.
    """
    settings = settings_of(home, database_url)
    passphrase = _passphrase(passphrase_file)
    from outrider.center.backup.take import take
    from outrider.kit.clock import SystemClock

    taken = asyncio.run(
        take(
            file,
            settings,
            clock=SystemClock(),
            by=owner("outrider center backup"),
            passphrase=passphrase,
            say=say,
        )
    )
    for key in taken.manifest.missing:
        say(f"a blob was deleted meanwhile: {key}")
    sealed = "sealed" if passphrase is not None else "not sealed: it holds the center's keys"
    sys.stdout.write(f"Wrote {file} ({taken.size / _MEGABYTE:.1f} MB, {sealed}).\n")
    if settings.master_key:
        say("the master key is a setting of yours (master_key) and not in the backup: keep it apart")


def restore(
    file: Annotated[Path, Parameter(help="The backup.")],
    /,
    *,
    home: Home = None,
    database_url: DatabaseUrl = None,
    replace: Annotated[bool, Parameter(help="Put a center that is there already aside.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Bring a center back, into an empty data folder and an empty database.

    Agents see that it is older than what they have seen; nothing they did is done again. Everybody has to
    sign in anew.
    """
    settings = settings_of(home, database_url)
    passphrase = _passphrase(passphrase_file)
    from outrider.center.backup import restore as restoring
    from outrider.kit.clock import SystemClock

    restored = asyncio.run(
        restoring.restore(
            file,
            settings,
            clock=SystemClock(),
            by=owner("outrider center restore"),
            passphrase=passphrase,
            replace=replace,
            say=say,
        )
    )
    if restored.aside:
        say(f"what was there before is in {settings.home / restored.aside}")
    if settings.master_key:
        say("OUTRIDER_MASTER_KEY is set here: it must be the one that the backup's center had")
    sys.stdout.write(f"Restored the center of {restored.manifest.header.host} into {settings.home}.\n")


def reset_password(
    user: Annotated[str, Parameter(help="Who is locked out.")] = "admin",
    /,
    *,
    password_stdin: Annotated[
        bool, Parameter(help="Read the new password from standard input; else one is made and shown once.")
    ] = False,
    remove_totp: Annotated[bool, Parameter(help="Take away the second factor too.")] = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let a user in again, while the center runs or not: a new password, which has to be changed.

    The user is enabled; their sessions and API tokens end.
    """
    settings = settings_of(home, database_url)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    from outrider.center.visits import reset_password as reset

    opened = asyncio.run(
        reset(
            settings,
            user,
            password=password,
            remove_totp=remove_totp,
            by=owner("outrider center reset-password"),
        )
    )
    if not password_stdin:
        sys.stdout.write(f"{opened.password}\n")
        sys.stdout.flush()
    say(f"{opened.username} signs in with it and then chooses another")
    if opened.totp:
        say("the second factor is still asked for: --remove-totp takes it away")


def _passphrase(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        with file.open("rb") as source:
            passphrase = source.readline(4096).rstrip(b"\r\n")
    except OSError as error:
        raise Invalid(f"{file} can't be read: {error.strerror}.") from error
    if not passphrase:
        raise Invalid(f"{file} is empty: it must hold the passphrase on its first line.")
    return passphrase
