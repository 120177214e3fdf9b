"""`outrider host-keys`: the SSH host keys by which the center recognises hosts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, ago, show_json, show_table
from outrider.domain.errors import NotFound

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter


def command() -> App:
    """Make the command."""
    app = make_app(
        "outrider host-keys",
        summary="List and forget the SSH host keys by which the center recognises hosts.",
    )
    app.default(list_keys)
    app.command(list_keys, name="list")
    app.command(forget, name="forget")
    return app


def list_keys(
    *,
    host: Annotated[str | None, Parameter(help="Only those of this name or address.")] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List the host keys that are remembered. A host that shows another one is refused."""
    keys = ask(where, lambda center: center.ssh_host_keys(host=host))
    if as_json:
        show_json(keys)
        return
    show_table(
        [Column(title) for title in ("ID", "HOST", "PORT", "VIA", "FINGERPRINT", "SINCE", "BY")],
        [
            [
                each.id,
                each.host,
                str(each.port),
                each.via,
                each.fingerprint,
                ago(each.remembered),
                each.remembered_by,
            ]
            for each in keys
        ],
        empty="No host keys: the first deployment to a host remembers its key.",
    )


def forget(
    key: Annotated[str, Parameter(name="ID-OR-HOST", help="Id of a key, or a host whose keys are meant.")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    where: Where | None = None,
) -> None:
    """Forget host keys, such as that of a host that was set up anew: its next key is trusted."""

    async def work(center: AsyncCenter) -> None:
        for named in (key, *more):
            found = [named] if named.startswith("hk_") else await _of_host(center, named)
            for each in found:
                await center.forget_ssh_host_key(each)
                sys.stdout.write(f"Forgot {each}.\n")

    ask(where, work)


async def _of_host(center: AsyncCenter, host: str) -> list[str]:
    found = [each.id for each in await center.ssh_host_keys(host=host)]
    if not found:
        raise NotFound(f"No key of {host[:80]} is remembered.")
    return found
