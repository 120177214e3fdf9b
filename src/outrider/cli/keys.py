"""`outrider keys`: make, list and revoke enrolment keys."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.durations import parse_duration
from outrider.cli.listing import AsJson, Column, show_json, show_table, until
from outrider.domain.errors import Invalid

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, EnrolmentKeyFacts, NewEnrolmentKey


def command() -> App:
    """Make the command."""
    app = make_app(
        "outrider keys", summary="Make, list and revoke enrolment keys: the secrets that let new agents join."
    )
    app.default(list_keys)
    app.command(new_key, name="new")
    app.command(list_keys, name="list")
    app.command(revoke_keys, name="revoke")
    return app


def new_key(
    *,
    label: Annotated[str | None, Parameter(help="What the key is for.")] = None,
    uses: Annotated[str, Parameter(help="How many hosts may join with it, or `unlimited`.")] = "1",
    ttl: Annotated[str, Parameter(help="How long it lives: 90s, 20m, 24h, 7d.")] = "20m",
    approve: Annotated[bool, Parameter(help="Let its hosts in without approval by hand.")] = False,
    tag: Annotated[list[str] | None, Parameter(help="Tag for its hosts; may be repeated.")] = None,
    short: Annotated[
        bool, Parameter(help="Show eight characters that stand for the key, for typing by hand.")
    ] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Make an enrolment key, shown this once, alone on standard output; beside it the line for the host."""
    count = _read_uses(uses)
    seconds = parse_duration(ttl, "--ttl")

    async def make(center: AsyncCenter) -> tuple[NewEnrolmentKey, str]:
        made = await center.new_enrolment_key(
            label=label, uses=count, ttl=seconds, approve=approve, tags=tag or (), short=short
        )
        return made, center.url

    made, url = ask(where, make)
    if as_json:
        show_json(made)
        return
    sys.stdout.write((made.short or made.key) + "\n")
    sys.stdout.flush()
    sys.stderr.write(_how_to_join(made, url) if made.short is None else _how_to_type(made, made.short, url))


def _how_to_join(made: NewEnrolmentKey, url: str) -> str:
    install = made.install
    told = f"\nThe key ends {until(made.expires)}."
    if install is None or install.curl is None:
        note = f" {install.note}" if install is not None and install.note else ""
        by_hand = f"OUTRIDER_CENTER_URL={url} OUTRIDER_ENROLMENT_KEY={made.key} outrider agent"
        return f"{told}{note}\nWhere outrider is installed already:\n\n    {by_hand}\n"
    lines = f"{told} On the new host, as root:\n\n{install.curl}\n"
    if install.python is not None:
        lines += f"\nWhere there is no curl:\n\n{install.python}\n"
    return f"{lines}\n{install.note}\n" if install.note else lines


def _how_to_type(made: NewEnrolmentKey, short: str, url: str) -> str:
    center = url if made.install is None or made.install.url is None else made.install.url
    return (
        f"\nThe key ends {until(made.expires)}. Where outrider is installed already:\n\n"
        f"    outrider agent config controller-url={center}\n"
        f"    outrider agent provision {short}\n\n"
        "The host has to trust the center's certificate already; else it takes the full key:\n\n"
        f"{made.key}\n"
    )


def _read_uses(text: str) -> int | None:
    if text == "unlimited":
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise Invalid(f"--uses takes a number of hosts or `unlimited`, not {text[:80]!r}.", field="uses")
    return int(text)


def list_keys(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List enrolment keys. Their secrets are not kept anywhere."""
    keys = ask(where, lambda center: center.enrolment_keys())
    if as_json:
        show_json(keys)
        return
    show_table(
        [Column(title) for title in ("ID", "LABEL", "STATE", "USED", "ENDS", "APPROVES", "TAGS", "BY")],
        [
            [
                key.id,
                key.label or "",
                state_of(key, time.time()),
                _usage(key),
                until(key.expires),
                "yes" if key.approve else "no",
                " ".join(key.tags),
                key.created_by or "",
            ]
            for key in keys
        ],
        empty="No enrolment keys: `outrider keys new` makes one.",
    )


def state_of(key: EnrolmentKeyFacts, now: float) -> str:
    """Say whether hosts can still join with a key, and if not, why."""
    if key.revoked:
        return "revoked"
    if key.expires is not None and key.expires <= now:
        return "expired"
    if key.uses is not None and key.used is not None and key.used >= key.uses:
        return "used up"
    return "alive"


def _usage(key: EnrolmentKeyFacts) -> str:
    used = "?" if key.used is None else str(key.used)
    return f"{used} of {'unlimited' if key.uses is None else key.uses}"


def revoke_keys(
    key: Annotated[str, Parameter(name="ID", help="Id of the key, as the list shows it.")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    where: Where | None = None,
) -> None:
    """Revoke enrolment keys. Hosts that joined with them stay."""

    async def revoke(center: AsyncCenter) -> None:
        for key_id in (key, *more):
            await center.revoke_enrolment_key(key_id)
            sys.stdout.write(f"Revoked {key_id}.\n")

    ask(where, revoke)
