"""`outrider cp`: copy files and folders to hosts, from hosts, and between them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.copy_places import parse_place
from outrider.cli.listing import AsJson, show_json
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.cli.copying import Copied
    from outrider.client import AsyncCenter


def command() -> App:
    """Make the command."""
    app = make_app("outrider cp")
    app.default(copy)
    return app


def copy(
    source: Annotated[
        str,
        Parameter(
            name="SRC", help="A path here, host:/path, or - for standard input.", allow_leading_hyphen=True
        ),
    ],
    /,
    *more: Annotated[
        str,
        Parameter(name="DEST", help="More sources, and last where they go.", allow_leading_hyphen=True),
    ],
    recursive: Annotated[bool, Parameter(name=["--recursive", "-r"], help="Copy folders, too.")] = False,
    mode: Annotated[str | None, Parameter(help="Permissions on the host, such as 0640.")] = None,
    owner: Annotated[str | None, Parameter(help="user, user:group or :group on the host.")] = None,
    no_overwrite: Annotated[bool, Parameter(help="Fail where something is there already.")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], help="No progress, no lines.")] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> int:
    """Copy files: `outrider cp app.conf web-01:/etc/app/`, `outrider cp -r web-01:/var/log/nginx .`.

    A place is a path here or host:/path, on either side or on both. Each file is checked by its digest and
    takes its name when it is whole; a download that breaks off is gone on with. A folder goes as one archive.
    """
    if not more:
        raise Invalid("Say where it goes: `outrider cp SRC... DEST`.")
    sources = [parse_place(text) for text in (source, *more[:-1])]
    dest = parse_place(more[-1])

    async def run(center: AsyncCenter) -> list[Copied]:
        from outrider.cli.copying import Copying, Manner

        manner = Manner(
            recursive=recursive,
            mode=mode,
            owner=owner,
            overwrite=not no_overwrite,
            shows_progress=not (quiet or as_json),
        )
        copying = Copying(center, manner, told=None if quiet or as_json or dest.is_standard else _tell)
        return await copying.copy(sources, dest)

    copied = ask(where, run)
    if as_json and not dest.is_standard:
        show_json(copied)
    left_out = sum(each.left_out_total for each in copied)
    if left_out:
        for each in copied:
            for text in each.left_out:
                sys.stderr.write(f"outrider: left out: {text}\n")
        sys.stderr.write(f"outrider: left out in all: {left_out}.\n")
    return 1 if left_out else 0


def _tell(copied: Copied) -> None:
    from outrider.cli.copy_progress import amount

    sys.stdout.write(f"{copied.source} -> {copied.dest}  {amount(copied.size)}\n")
    sys.stdout.flush()
