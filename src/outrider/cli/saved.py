"""`outrider centers`: the centers this person has signed in to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from outrider.cli import centers
from outrider.cli.app import make_app
from outrider.cli.listing import AsJson, Column, show_json, show_table
from outrider.cli.memory import Memory
from outrider.domain.errors import Conflict

if TYPE_CHECKING:
    from cyclopts import App

_Name = Annotated[str, Parameter(name="NAME", help="Name of a saved center.")]


def command() -> App:
    """Make the command."""
    app = make_app("outrider centers", summary="The centers you have signed in to, saved on this machine.")
    app.default(list_centers)
    app.command(list_centers, name="list")
    app.command(default, name="default")
    app.command(rename, name="rename")
    app.command(remove, name="remove")
    return app


def list_centers(*, as_json: AsJson = False) -> None:
    """List saved centers; the one that is asked unless another is named is marked."""
    saved = centers.load(centers.default_path(os.environ))
    facts: list[dict[str, Any]] = [
        {
            "name": name,
            "default": name == saved.current,
            "url": one.url,
            "username": one.username,
            "signed_in": bool(one.token),
        }
        for name, one in sorted(saved.centers.items())
    ]
    if as_json:
        show_json(facts)
        return
    show_table(
        [
            Column("NAME"),
            Column("DEFAULT", whole=True),
            Column("ADDRESS"),
            Column("USER"),
            Column("SIGNED IN", whole=True, styles={"yes": "green"}),
        ],
        [
            [
                one["name"],
                "*" if one["default"] else "",
                one["url"],
                one["username"],
                "yes" if one["signed_in"] else "no",
            ]
            for one in facts
        ],
        empty="No saved centers: `outrider login URL` saves one.",
    )


def default(name: _Name, /) -> None:
    """Ask this center from now on, unless another is named."""
    path = centers.default_path(os.environ)
    saved = centers.load(path)
    saved.find(name)
    centers.save(path, msgspec.structs.replace(saved, current=name))
    sys.stdout.write(f"{name} is asked from now on.\n")


def rename(name: _Name, new: Annotated[str, Parameter(name="NEW", help="Its new name.")], /) -> None:
    """Give a saved center another name."""
    path = centers.default_path(os.environ)
    saved = centers.load(path)
    _, found = saved.find(name)
    if centers.check_name(new) in saved.centers:
        raise Conflict(f"There is a saved center {new!r} already.")
    others = {each: one for each, one in saved.centers.items() if each != name}
    current = new if saved.current == name else saved.current
    centers.save(path, centers.Centers(current=current, centers={**others, new: found}))
    Memory.of(name, os.environ).forget()
    sys.stdout.write(f"{name} is called {new} now.\n")


def remove(name: _Name, /) -> None:
    """Forget a center with its token. The session at the center goes on: `outrider logout` ends it."""
    path = centers.default_path(os.environ)
    saved = centers.load(path)
    saved.find(name)
    others = {each: one for each, one in saved.centers.items() if each != name}
    current = "" if saved.current == name else saved.current
    centers.save(path, centers.Centers(current=current, centers=others))
    Memory.of(name, os.environ).forget()
    sys.stdout.write(f"{name} is forgotten here.\n")
