"""`outrider center bundle`: the agents that a center gives to hosts, for the owner of its machine."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.listing import AsJson, Column, ago, show_json, show_table
from outrider.cli.owner import DatabaseUrl, Home, owner, say, settings_of
from outrider.cli.status_line import StatusLine
from outrider.domain.bundles import BundleTarget
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from cyclopts import App

    from outrider.center.bundles.glibc import Glibc
    from outrider.center.bundles.rows import BundleRow

_MEGABYTE: Final = 1_000_000


def command() -> App:
    """Make the command."""
    app = make_app(
        "outrider center bundle",
        summary="Make, import, list and remove bundles: the agents that this center gives to hosts.",
    )
    app.default(list_bundles)
    app.command(build)
    app.command(import_bundle, name="import")
    app.command(list_bundles, name="list")
    app.command(remove)
    app.command(path)
    return app


def build(
    *,
    python: Annotated[
        str | None, Parameter(help="For this Python, such as 3.12; else for the center's own.")
    ] = None,
    platform: Annotated[
        str | None,
        Parameter(
            help="For this platform: linux-x86_64, linux-aarch64; -musl for Alpine. Else the center's own."
        ),
    ] = None,
    glibc: Annotated[
        str | None,
        Parameter(help="The newest glibc that its packages may ask for: 2.28 unless told otherwise."),
    ] = None,
    index_url: Annotated[
        str | None, Parameter(help="The package registry to ask; else the one that pip is set to.")
    ] = None,
    wheels: Annotated[
        Path | None, Parameter(help="Take the packages from this folder of wheels and ask no registry.")
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a bundle, beside a center that runs or not.

    Without options it is made of the center's own installation, for its Python and platform, and asks no
    registry; the center does that itself when a host needs it. For others, pip fetches the locked packages
    and holds them to their hashes.
    """
    settings = settings_of(home, database_url)
    by = owner("outrider center bundle build")
    from outrider.center.bundles.owner import build_for, build_own

    if not any((python, platform, glibc, index_url, wheels)):
        _show_made(_with_progress(lambda tell: build_own(settings, by=by, say=tell)), as_json=as_json)
        return
    if index_url is not None and wheels is not None:
        raise Invalid("--index-url and --wheels say two different places: give one of them.")
    from outrider.center.bundles.installed import target_here

    here = target_here()
    target = BundleTarget.parse(python or here.python, platform or here.platform)
    newest = _glibc(glibc)
    options = _pip_options(index_url, wheels)
    _show_made(
        _with_progress(
            lambda tell: build_for(settings, target, glibc=newest, options=options, by=by, say=tell)
        ),
        as_json=as_json,
    )


def _glibc(text: str | None) -> Glibc:
    from outrider.center.bundles.glibc import as_version
    from outrider.center.bundles.registry import OLDEST_GLIBC

    if text is None:
        return OLDEST_GLIBC
    version = as_version(text)
    if version is None:
        raise Invalid(f"--glibc takes a version such as 2.28, not {text[:20]!r}.", field="glibc")
    return version


def _pip_options(index_url: str | None, wheels: Path | None) -> list[str]:
    if wheels is not None:
        if not wheels.is_dir():
            raise Invalid(f"{wheels} is no folder.", field="wheels")
        return ["--no-index", f"--find-links={wheels.resolve()}"]
    return [] if index_url is None else [f"--index-url={index_url}"]


def import_bundle(
    file: Annotated[Path, Parameter(help="The bundle: outrider-agent-....tar.gz.")],
    /,
    *,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Take in a bundle that was made elsewhere: by another center, with `build` and `path`.

    Whoever made it decides what runs on the hosts that get it: take one from nobody else.
    """
    settings = settings_of(home, database_url)
    by = owner("outrider center bundle import")
    from outrider.center.bundles.owner import take_in

    _show_made(_with_progress(lambda tell: take_in(settings, file, by=by, say=tell)), as_json=as_json)


def _with_progress(work: Callable[[Callable[[str], None]], Coroutine[None, None, BundleRow]]) -> BundleRow:
    """Do the work and show how far it is: in one line of a terminal, or line by line elsewhere."""
    line = StatusLine(sys.stderr)
    try:
        return asyncio.run(work(line.say if sys.stderr.isatty() else say))
    finally:
        line.end()


def _show_made(row: BundleRow, *, as_json: bool) -> None:
    if as_json:
        show_json({"name": row.file_name, "digest": row.digest, "size": row.size, "build": row.build})
        return
    sys.stdout.write(f"{row.file_name} ({row.size / _MEGABYTE:.1f} MB) for {row.target}\n")


def list_bundles(*, as_json: AsJson = False, home: Home = None, database_url: DatabaseUrl = None) -> None:
    """List bundles, newest first; `offered` is what a new host with its Python and platform gets."""
    settings = settings_of(home, database_url)
    from outrider.center.bundles.owner import overview

    bundles = asyncio.run(overview(settings))
    if as_json:
        show_json(bundles)
        return
    titles = ("VERSION", "BUILD", "PYTHON", "PLATFORM", "GLIBC", "MB", "OF", "MADE", "AGENTS", "OFFERED")
    show_table(
        [Column(title, whole=title == "BUILD") for title in titles],
        [
            [
                each.version,
                each.build,
                each.python,
                each.platform,
                each.glibc,
                f"{each.size / _MEGABYTE:.1f}",
                each.origin.value,
                ago(each.created),
                str(each.agents),
                "yes" if each.offered else "no",
            ]
            for each in bundles
        ],
        empty="No bundles yet: the center makes its own when a host needs it; `outrider center bundle build` "
        "makes them for others.",
    )


def remove(
    *names: Annotated[str, Parameter(name="BUNDLE", help="Its build, digest or file name.")],
    old: Annotated[bool, Parameter(help="All that no agent runs and no new host gets.")] = False,
    force: Annotated[bool, Parameter(help="Also one that agents run or new hosts get.")] = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Remove bundles. Hosts that run them are not touched: they have their own copies."""
    if bool(names) == old:
        raise Invalid("Name bundles, or say --old.")
    settings = settings_of(home, database_url)
    by = owner("outrider center bundle remove")
    from outrider.center.bundles import owner as bundles

    work = bundles.remove_old(settings, by=by) if old else bundles.remove(settings, names, force=force, by=by)
    removed = asyncio.run(work)
    for row in removed:
        sys.stdout.write(f"Removed {row.file_name}.\n")
    if not removed:
        say("no bundle is old: agents run each, or new hosts get it")


def path(
    name: Annotated[
        str | None, Parameter(name="BUNDLE", help="Its build, digest or file name; else the center's own.")
    ] = None,
    /,
    *,
    home: Home = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print where a bundle lies as a file, to carry it to another center or to a host."""
    settings = settings_of(home, database_url)
    from outrider.center.bundles.owner import path_of

    sys.stdout.write(f"{asyncio.run(path_of(settings, name))}\n")
