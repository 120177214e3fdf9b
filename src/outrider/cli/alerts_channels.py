"""`outrider alerts channels`: whom notices go to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli.alerts_naming import find_channel
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, at, show_facts, show_json, show_table
from outrider.cli.prompts import confirm
from outrider.domain.errors import Conflict, Invalid
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, ChannelTested

_Name = Annotated[str, Parameter(name="CHANNEL", help="Name or id.")]
_LONGEST: Final = 2000


def command() -> App:
    """Make the command."""
    app = make_app("outrider alerts channels", summary="Whom notices go to: mail, chat, a web hook.")
    app.default(list_channels)
    app.command(list_channels, name="list")
    app.command(show, name="show")
    app.command(add, name="add")
    app.command(try_out, name="test")
    app.command(remove, name="remove")
    return app


def list_channels(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List the channels. Their addresses are not shown to anybody."""
    channels = ask(where, lambda center: center.alert_channels())
    if as_json:
        show_json(channels)
        return
    show_table(
        [
            Column("NAME"),
            Column("KIND", whole=True),
            Column("CREATED", whole=True),
            Column("BY"),
            Column("ID", whole=True),
        ],
        [
            [channel.name, channel.kind, at(channel.created), channel.created_by or "", channel.id]
            for channel in channels
        ],
        empty="No channels: `outrider alerts channels add` makes one.",
    )


def show(name: _Name, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """Show a channel, without its address."""
    channel = ask(where, lambda center: find_channel(center, name))
    if as_json:
        show_json(channel)
        return
    facts = {"id": channel.id, "name": channel.name, "kind": channel.kind, "created": at(channel.created)}
    show_facts(facts | {"by": channel.created_by or ""})


def add(
    name: Annotated[str, Parameter(help="What it is called.")],
    url: Annotated[str, Parameter(help="Address as apprise reads it; - takes it from standard input.")] = "-",
    /,
    *,
    where: Where | None = None,
) -> None:
    """Make a channel. Its address may hold secrets: given on standard input it is in no list of processes.

    `outrider alerts channels add ops < address`
    """
    address = _read() if url == "-" else url
    made = ask(where, lambda center: center.new_alert_channel(name, address))
    sys.stdout.write(f"Made {escape(made.name)} ({made.id}). `outrider alerts channels test` tries it.\n")


def _read() -> str:
    if sys.stdin.isatty():
        sys.stderr.write("Address, such as mailto://user:password@example.org: ")
        sys.stderr.flush()
    address = sys.stdin.readline(_LONGEST + 2).strip()
    if not address:
        raise Invalid("There is no address on standard input.", field="url")
    return address


def try_out(name: _Name, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """Send a test to a channel, and say what became of it. Ends with 6 when it was not taken."""

    async def send(center: AsyncCenter) -> ChannelTested:
        return await center.test_alert_channel((await find_channel(center, name)).id)

    tested = ask(where, send)
    if as_json:
        show_json(tested)
    if not tested.sent:
        raise Conflict(f"The channel did not take it: {tested.error}")
    if not as_json:
        sys.stdout.write(f"Sent {tested.notice_id}.\n")


def remove(
    name: _Name,
    /,
    *,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Delete a channel that no rule uses."""
    found = ask(where, lambda center: find_channel(center, name))
    if not yes:
        confirm(f"Delete the channel {escape(found.name)}?")
    ask(where, lambda center: center.delete_alert_channel(found.id))
    sys.stdout.write(f"Deleted {escape(found.name)}.\n")
