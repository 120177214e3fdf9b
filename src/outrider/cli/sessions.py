"""`outrider sessions`: list and end sessions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, ago, show_json, show_table, until
from outrider.cli.people import find_user
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, SessionFacts


def command() -> App:
    """Make the command."""
    app = make_app("outrider sessions", summary="List and end open sessions.")
    app.default(list_sessions)
    app.command(list_sessions, name="list")
    app.command(end_sessions, name="end")
    return app


def list_sessions(
    *,
    user: Annotated[str | None, Parameter(help="Of this user: name or id. Else your own.")] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List open sessions; the one you use now is marked."""

    async def look(center: AsyncCenter) -> list[SessionFacts]:
        return await center.sessions(user=None if user is None else (await find_user(center, user)).id)

    sessions = ask(where, look)
    if as_json:
        show_json(sessions)
        return
    show_table(
        [
            Column("USER"),
            Column("NOW", whole=True, styles={"this": "green"}),
            Column("OPENED"),
            Column("USED"),
            Column("ENDS"),
            Column("FROM"),
            Column("PROGRAM"),
            Column("ID", whole=True),
        ],
        [
            [
                session.username or session.user_id,
                "this" if session.current else "",
                ago(session.created),
                ago(session.last_used),
                until(session.expires),
                session.address,
                session.client,
                session.id,
            ]
            for session in sessions
        ],
        empty="No open sessions.",
    )


def end_sessions(
    *sessions: Annotated[str, Parameter(name="ID", help="Ids of sessions, as the list shows them.")],
    others: Annotated[bool, Parameter(help="All of your sessions but this one.")] = False,
    where: Where | None = None,
) -> None:
    """End sessions: by their ids, or all of yours but this one."""
    if bool(sessions) == others:
        raise Invalid("Name sessions by their ids, or say --others.")

    async def end(center: AsyncCenter) -> None:
        if others:
            await center.end_other_sessions()
            sys.stdout.write("Ended all of your sessions but this one.\n")
        for session in sessions:
            await center.end_session(session)
            sys.stdout.write(f"Ended {session}.\n")

    ask(where, end)
