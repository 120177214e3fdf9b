"""`outrider agents dial`, `dials` and `undial`: agents that wait for the center to dial them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, show_json, show_table
from outrider.domain.errors import NotFound
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from outrider.client import AsyncCenter, Dial

_PATIENCE: Final = 10.0
"""Seconds to wait for what comes of the first tries."""
_LOOK_EVERY: Final = 0.5
_STYLES: Final = {"linked": "green", "connected": "yellow", "dialling": "yellow"}

Place = Annotated[str, Parameter(help="Where the agent waits, as HOST:PORT.")]


def dial_agent(
    address: Place,
    /,
    *,
    instead_of: Annotated[
        str | None, Parameter(help="The address, or the dial's id, that this one takes the place of.")
    ] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Have the center dial an agent that waits for it, from now on, and say what comes of it."""

    async def dial(center: AsyncCenter) -> Dial:
        if instead_of is None:
            made = await center.add_dial(address)
        else:
            made = await center.move_dial((await _find(center, instead_of)).id, address)
        return await _settled(center, made)

    made = ask(where, dial)
    if as_json:
        show_json(made)
        return
    sys.stdout.write(f"Dialling {made.address} ({made.id}): {_standing(made)}\n")


async def _settled(center: AsyncCenter, made: Dial) -> Dial:
    """Return the dial once it is linked or has failed, or after a while as it is."""
    for _ in range(int(_PATIENCE / _LOOK_EVERY)):
        if made.state == "linked" or made.reason:
            break
        await asyncio.sleep(_LOOK_EVERY)
        made = await center.dial(made.id)
    return made


def _standing(dial: Dial) -> str:
    if dial.state == "linked":
        return f"linked, as {dial.agent_id}."
    if dial.reason:
        return f"not reached yet: {escape(dial.reason)}. It is tried again and again."
    return "it answers, and has not opened its link yet." if dial.state == "connected" else "no answer yet."


def list_dials(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List the addresses at which the center dials agents."""
    found = ask(where, lambda center: center.dials())
    if as_json:
        show_json(found)
        return
    show_table(
        [
            Column("ADDRESS"),
            Column("STATE", whole=True, styles=_STYLES),
            Column("AGENT", whole=True),
            Column("REASON"),
            Column("ID", whole=True),
        ],
        [[dial.address, dial.state, dial.agent_id or "", dial.reason, dial.id] for dial in found],
        empty="No agent is dialled: `outrider agents dial HOST:PORT` begins it.",
    )


def undial_agents(
    address: Annotated[str, Parameter(help="The address, or the dial's id.")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    where: Where | None = None,
) -> None:
    """Have addresses dialled no more. Their agents stay, and wait."""

    async def remove(center: AsyncCenter) -> None:
        for one in [await _find(center, name) for name in (address, *more)]:
            await center.remove_dial(one.id)
            sys.stdout.write(f"{one.address} is not dialled any more.\n")

    ask(where, remove)


async def _find(center: AsyncCenter, name: str) -> Dial:
    for dial in await center.dials():
        if name in {dial.id, dial.address, dial.agent_id}:
            return dial
    raise NotFound(f"Nothing is dialled at {name[:80]}: `outrider agents dials` lists what is.")
