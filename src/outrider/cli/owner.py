"""What the words for the owner of a center's machine share: its settings, and who acts."""

from __future__ import annotations

import os
import pwd
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.domain.actors import Actor, ActorKind
from outrider.domain.errors import Invalid
from outrider.kit.config import ConfigError

if TYPE_CHECKING:
    from outrider.center.settings import CenterSettings

_OF_THE_CENTER: Final = "sqlalchemy"
"""A package that every center has, and no host."""
Home = Annotated[
    Path | None, Parameter(help="The center's data folder; else OUTRIDER_HOME or the usual one.")
]
DatabaseUrl = Annotated[
    str | None, Parameter(help="Its database; else OUTRIDER_DATABASE_URL, or SQLite in the data folder.")
]


def settings_of(home: Path | None, database_url: str | None) -> CenterSettings:
    """Read the center's settings as the center would. Raises Invalid, also where no center is installed."""
    require_center()
    environ = dict(os.environ)
    if home is not None:
        environ["OUTRIDER_HOME"] = str(home)
    if database_url is not None:
        environ["OUTRIDER_DATABASE_URL"] = database_url
    from outrider.center.settings import read_settings

    try:
        return read_settings(environ)
    except ConfigError as error:
        raise Invalid(str(error)) from error


def require_center() -> None:
    """Raise Invalid where the center's parts are not installed, as on a host that has a bundle."""
    for name in ("outrider.center", _OF_THE_CENTER):
        if find_spec(name) is None:
            raise Invalid(
                f"The center's parts are not installed here ({name} is missing): install outrider[center]."
            )


def owner(word: str) -> Actor:
    """Say who acts: an account of this machine, not a user of the center."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return Actor(kind=ActorKind.CENTER, id="center", name=f"{name} on the center's machine", via=word)


def say(line: str) -> None:
    """Tell the person who waits something, beside the result."""
    sys.stderr.write(f"outrider: {line}\n")
    sys.stderr.flush()
