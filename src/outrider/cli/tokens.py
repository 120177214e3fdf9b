"""`outrider tokens`: list, make and revoke API tokens."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.durations import parse_duration
from outrider.cli.listing import AsJson, Column, ago, at, show_json, show_table, until
from outrider.cli.people import find_user
from outrider.cli.prompts import confirm
from outrider.domain.errors import Invalid
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import ApiToken, AsyncCenter, NewApiToken


def command() -> App:
    """Make the command."""
    app = make_app("outrider tokens", summary="List, make and revoke API tokens: what programs come in with.")
    app.default(list_tokens)
    app.command(list_tokens, name="list")
    app.command(new_token, name="new")
    app.command(revoke_tokens, name="revoke")
    return app


def list_tokens(
    *,
    user: Annotated[str | None, Parameter(help="Of this user: name or id.")] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List API tokens. Their texts are not kept anywhere."""

    async def look(center: AsyncCenter) -> list[ApiToken]:
        return await center.tokens(user=None if user is None else (await find_user(center, user)).id)

    tokens = ask(where, look)
    if as_json:
        show_json(tokens)
        return
    show_table(
        [
            Column("NAME"),
            Column("USER"),
            Column("CREATED", whole=True),
            Column("USED"),
            Column("ENDS"),
            Column("ID", whole=True),
        ],
        [
            [
                token.name,
                token.username or token.user_id,
                at(token.created),
                ago(token.last_used),
                until(token.expires),
                token.id,
            ]
            for token in tokens
        ],
        empty="No API tokens: `outrider tokens new NAME` makes one.",
    )


def new_token(
    name: Annotated[str, Parameter(help="What the token is for.")],
    /,
    *,
    user: Annotated[str | None, Parameter(help="For this user: name or id. Else for yourself.")] = None,
    ttl: Annotated[
        str | None, Parameter(help="How long it lives: 24h, 90d. Else until it is revoked.")
    ] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Make an API token. It is shown this once, alone on standard output."""
    expires = time.time() + parse_duration(ttl, "--ttl") if ttl else None

    async def make(center: AsyncCenter) -> NewApiToken:
        owner = None if user is None else (await find_user(center, user)).id
        return await center.new_token(name, user=owner, expires=expires)

    made = ask(where, make)
    if as_json:
        show_json(made)
        return
    sys.stdout.write(made.token + "\n")
    sys.stdout.flush()
    if sys.stderr.isatty():
        sys.stderr.write(f"outrider: shown this once; `outrider tokens revoke {made.id}` ends it\n")


def revoke_tokens(
    *tokens: Annotated[str, Parameter(name="ID", help="Ids of tokens, as the list shows them.")],
    all_of: Annotated[
        str | None, Parameter(name="--all-of", help="All tokens of this user, at once.")
    ] = None,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Revoke API tokens: by their ids, or all of a user."""
    if bool(tokens) == bool(all_of):
        raise Invalid("Name tokens by their ids, or a user with --all-of.")
    if all_of is not None:
        user = ask(where, lambda center: find_user(center, all_of))
        if not yes:
            confirm(f"Revoke all API tokens of {escape(user.username)}?")
        ask(where, lambda center: center.revoke_tokens(user.id))
        sys.stdout.write(f"Revoked all API tokens of {escape(user.username)}.\n")
        return

    async def revoke(center: AsyncCenter) -> None:
        for token in tokens:
            await center.revoke_token(token)
            sys.stdout.write(f"Revoked {token}.\n")

    ask(where, revoke)
