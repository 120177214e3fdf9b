"""`outrider profiles`: settings that agents get from their groups."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, at, show_facts, show_json, show_table
from outrider.cli.named import find_profile
from outrider.cli.prompts import confirm
from outrider.domain.errors import Invalid
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App

    from outrider.client import AsyncCenter, Profile

_Name = Annotated[str, Parameter(name="PROFILE", help="Name or id.")]


def command() -> App:
    """Make the command."""
    app = make_app("outrider profiles", summary="Settings that agents get; all inherit from `default`.")
    app.default(list_profiles)
    app.command(list_profiles, name="list")
    app.command(show, name="show")
    app.command(new, name="new")
    app.command(change, name="set")
    app.command(parameters, name="parameters")
    app.command(delete, name="delete")
    return app


def list_profiles(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List profiles."""
    profiles = ask(where, lambda center: center.profiles())
    if as_json:
        show_json(profiles)
        return
    show_table(
        [Column("NAME"), Column("GROUPS"), Column("PARAMETERS"), Column("ID", whole=True)],
        [[one.name, ", ".join(one.groups), " ".join(_pairs(one)), one.id] for one in profiles],
        empty="No profiles.",
    )


def _pairs(profile: Profile) -> list[str]:
    return [f"{name}={value}" for name, value in profile.params.items()]


def show(name: _Name, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """Show a profile with what it comes to."""
    found = ask(where, lambda center: find_profile(center, name))
    if as_json:
        show_json(found)
        return
    facts = {
        "id": found.id,
        "name": found.name,
        "groups": ", ".join(found.groups),
        "created": at(found.created),
        "changed": at(found.changed),
    }
    show_facts({title: value for title, value in facts.items() if value})
    sys.stdout.write("\n")
    show_table(
        [Column("PARAMETER", whole=True), Column("VALUE"), Column("FROM", whole=True)],
        [
            [key, value, "itself" if key in found.params else "default"]
            for key, value in found.comes_to.items()
        ],
        empty="It sets nothing.",
    )


def new(
    name: Annotated[str, Parameter(help="What it is called.")],
    /,
    *params: Annotated[str, Parameter(help="NAME=value.")],
    where: Where | None = None,
) -> None:
    """Make a profile: `outrider profiles new small client_api_enabled=true`."""
    changes = read_changes(params)
    values = {key: value for key, value in changes.items() if value is not None}
    if len(values) < len(changes):
        raise Invalid("A new profile has nothing to remove; write NAME=value.")
    made = ask(where, lambda center: center.new_profile(name, values))
    sys.stdout.write(f"Made {escape(made.name)} ({made.id}).\n")


def change(
    name: _Name,
    /,
    *params: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="NAME=value sets, -NAME removes what it set.")
    ],
    rename: Annotated[str | None, Parameter(help="Another name.")] = None,
    where: Where | None = None,
) -> None:
    """Change a profile's parameters: `outrider profiles set small client_api_port=4000 -poll`."""
    changes = read_changes(params)
    if not changes and rename is None:
        raise Invalid("Say what to change: NAME=value, -NAME or --rename.")

    async def edit(center: AsyncCenter) -> Profile:
        return await center.edit_profile((await find_profile(center, name)).id, changes, name=rename)

    after = ask(where, edit)
    sys.stdout.write(f"{escape(after.name)}: {escape(' '.join(_pairs(after))) or '(no parameters)'}\n")


def read_changes(words: Sequence[str]) -> dict[str, str | None]:
    """Read NAME=value and -NAME words; None removes. Raises Invalid for one that is neither."""
    changes: dict[str, str | None] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key:
            changes[key] = value
        elif word.startswith("-") and word[1:]:
            changes[word[1:]] = None
        else:
            raise Invalid(f"{word[:80]!r} does not say what to do: NAME=value sets, -NAME removes it.")
    return changes


def parameters(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List the parameters that the center knows; a profile may have others, too."""
    known = ask(where, lambda center: center.profile_parameters())
    if as_json:
        show_json(known)
        return
    show_table(
        [Column("NAME", whole=True), Column("TAKES"), Column("DEFAULT"), Column("WHAT IT DOES")],
        [[one.name, one.takes, one.default, one.means] for one in known],
        empty="This center knows none.",
    )


def delete(
    name: _Name,
    /,
    *,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Delete a profile that no group gives."""
    found = ask(where, lambda center: find_profile(center, name))
    if not yes:
        confirm(f"Delete the profile {escape(found.name)}?")
    ask(where, lambda center: center.delete_profile(found.id))
    sys.stdout.write(f"Deleted {escape(found.name)}.\n")
