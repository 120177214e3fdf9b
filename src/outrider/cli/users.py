"""`outrider users`: list, add, edit and delete users; give out passwords anew."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, at, show_json, show_table
from outrider.cli.people import find_user
from outrider.cli.prompts import confirm, new_password
from outrider.domain.errors import Invalid
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, NewUser, UserFacts

_Name = Annotated[str, Parameter(name="USER", help="Name or id.")]
_RoleName = Literal["viewer", "operator", "admin", "super_admin"]
_Yes = Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")]


def command() -> App:
    """Make the command."""
    app = make_app("outrider users", summary="List and manage the people who may sign in.")
    app.default(list_users)
    app.command(list_users, name="list")
    app.command(add_user, name="add")
    app.command(edit_user, name="edit")
    app.command(delete_user, name="delete")
    app.command(reset_password, name="reset-password")
    app.command(remove_totp, name="remove-totp")
    return app


def list_users(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List users."""
    users = ask(where, lambda center: center.users())
    if as_json:
        show_json(users)
        return
    show_table(
        [
            Column("USER"),
            Column("ROLE", whole=True),
            Column("STATE", whole=True, styles={"disabled": "red", "password due": "yellow"}),
            Column("SECOND FACTOR"),
            Column("CREATED", whole=True),
            Column("ID", whole=True),
        ],
        [
            [user.username, user.role, _state(user), "yes" if user.totp else "no", at(user.created), user.id]
            for user in users
        ],
        empty="No users.",
    )


def _state(user: UserFacts) -> str:
    if user.disabled:
        return "disabled"
    return "password due" if user.must_change_password else "enabled"


def add_user(
    name: Annotated[str, Parameter(name="USER", help="The name to sign in with.")],
    /,
    *,
    role: Annotated[_RoleName, Parameter(help="What they may do.")] = "viewer",
    password_stdin: Annotated[
        bool, Parameter(help="Read the password from standard input; else one is made and printed.")
    ] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Add a user. A password that was made is shown this once, and must be changed at the first sign-in."""
    password = new_password(from_stdin=True) if password_stdin else None

    async def add(center: AsyncCenter) -> NewUser:
        return await center.add_user(name, role, password=password)

    made = ask(where, add)
    if as_json:
        show_json(made)
    elif made.password is None:
        sys.stdout.write(f"Added {escape(made.username)} ({made.role}).\n")
    else:
        _show_password(made.username, made.password)


def _show_password(username: str, password: str) -> None:
    # Alone on standard output, so that a script can take it.
    sys.stdout.write(password + "\n")
    sys.stdout.flush()
    sys.stderr.write(
        f"outrider: this is the password of {escape(username)}, shown this once; it must be changed at the "
        "next sign-in\n"
    )


def edit_user(
    name: _Name,
    /,
    *,
    role: Annotated[_RoleName | None, Parameter(help="What they may do from now on.")] = None,
    rename: Annotated[str | None, Parameter(help="A new name.")] = None,
    disable: Annotated[bool, Parameter(help="Close the door: sessions end, tokens are refused.")] = False,
    enable: Annotated[bool, Parameter(help="Open the door again.")] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Change a user's role or name; disable or enable one."""
    if disable and enable:
        raise Invalid("--disable and --enable exclude each other.")
    if role is None and rename is None and not (disable or enable):
        raise Invalid("Say what to change: --role, --rename, --disable or --enable.")

    async def edit(center: AsyncCenter) -> UserFacts:
        user = await find_user(center, name)
        disabled = disable if disable or enable else None
        return await center.edit_user(user.id, role=role, username=rename, disabled=disabled)

    after = ask(where, edit)
    if as_json:
        show_json(after)
    else:
        sys.stdout.write(f"{escape(after.username)}: {after.role}, {_state(after)}.\n")


def delete_user(name: _Name, /, *, yes: _Yes = False, where: Where | None = None) -> None:
    """Delete a user with all sessions and tokens."""
    user = ask(where, lambda center: find_user(center, name))
    if not yes:
        confirm(f"Delete {escape(user.username)} ({user.role}) with all sessions and tokens?")
    ask(where, lambda center: center.delete_user(user.id))
    sys.stdout.write(f"Deleted {escape(user.username)}.\n")


def reset_password(name: _Name, /, *, yes: _Yes = False, where: Where | None = None) -> None:
    """Give a user a new password, made by the center. Their sessions end."""
    user = ask(where, lambda center: find_user(center, name))
    if not yes:
        confirm(f"Give {escape(user.username)} a new password and end their sessions?")
    made = ask(where, lambda center: center.reset_password(user.id))
    _show_password(user.username, made.password)


def remove_totp(name: _Name, /, *, yes: _Yes = False, where: Where | None = None) -> None:
    """Take the second factor of somebody away who has lost it."""
    user = ask(where, lambda center: find_user(center, name))
    if not yes:
        confirm(f"Take the second factor of {escape(user.username)} away?")
    ask(where, lambda center: center.remove_second_factor(user.id))
    sys.stdout.write(f"{escape(user.username)} signs in with the password alone now.\n")
