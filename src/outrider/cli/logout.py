"""`outrider logout`: end the session and forget its token."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec

from outrider.cli import centers
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.domain.errors import OutriderError, Unauthenticated

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter


def command() -> App:
    """Make the command."""
    app = make_app("outrider logout")
    app.default(logout)
    return app


def logout(*, where: Where | None = None) -> None:
    """Sign out of a center. The token is forgotten here even when the center can't be reached."""
    path = centers.default_path(os.environ)
    saved = centers.load(path)
    name, found = saved.find(where.center if where else None)
    try:
        ask(where, _end)
    except Unauthenticated:
        sys.stderr.write(f"outrider: the session at {name} had ended already.\n")
    except OutriderError as error:
        sys.stderr.write(
            f"outrider: the token is forgotten here, but the center could not be told: {error.detail}\n"
        )
    kept = {**saved.centers, name: msgspec.structs.replace(found, token="")}
    centers.save(path, msgspec.structs.replace(saved, centers=kept))
    sys.stdout.write(f"Signed out of {name}.\n")


async def _end(center: AsyncCenter) -> None:
    await center.logout()
