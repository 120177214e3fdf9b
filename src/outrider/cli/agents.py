"""`outrider agents`: list agents, show one, update or delete some."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from outrider.cli.agents_dials import dial_agent, list_dials, undial_agents
from outrider.cli.agents_update import update_agents
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import STATUS_STYLES, AsJson, Column, ago, at, show_facts, show_json, show_table
from outrider.cli.naming import find_agent, name_of
from outrider.cli.prompts import confirm

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import Agent, AgentDetail, AsyncCenter

_NO_MATCH: Final = "No agents match."
_NO_AGENTS: Final = "No agents yet: `outrider keys new` makes a key that lets one join."


def command() -> App:
    """Make the command."""
    app = make_app("outrider agents")
    app.default(list_agents)
    app.command(list_agents, name="list")
    app.command(show_agent, name="show")
    app.command(update_agents, name="update")
    app.command(delete_agents, name="delete")
    app.command(dial_agent, name="dial")
    app.command(list_dials, name="dials")
    app.command(undial_agents, name="undial")
    return app


def list_agents(
    *,
    target: Annotated[
        str | None, Parameter(help="Only those an expression means: 'tag:web and not status:offline'.")
    ] = None,
    tag: Annotated[str | None, Parameter(help="Only those with this tag: web, or SITE=x1.")] = None,
    status: Annotated[
        str | None, Parameter(help="Only those that are online, offline, pending or declined.")
    ] = None,
    text: Annotated[str | None, Parameter(name=["-q", "--search"], help="Only those that match.")] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List agents."""
    if target is not None:
        from outrider.domain.targets.parser import parse

        parse(target)
    agents = ask(where, lambda center: center.agents(target=target, tag=tag, status=status, text=text))
    if as_json:
        show_json(agents)
        return
    show_table(
        [
            Column("LABEL"),
            Column("STATUS", whole=True, styles=STATUS_STYLES),
            Column("HOSTNAME"),
            Column("IP"),
            Column("OS"),
            Column("AGENT"),
            Column("SEEN"),
            Column("TAGS"),
            Column("ID", whole=True),
        ],
        [
            [
                agent.label,
                _status(agent),
                agent.hostname,
                agent.ip or "",
                agent.os or "",
                agent.version or "",
                ago(agent.last_seen),
                " ".join(agent.tags),
                agent.id,
            ]
            for agent in agents
        ],
        empty=_NO_MATCH if target or tag or status or text else _NO_AGENTS,
    )


def _status(agent: Agent) -> str:
    return f"{agent.status}, paused" if agent.paused else agent.status


def show_agent(
    agent: Annotated[str, Parameter(help="Id, label or hostname.")],
    /,
    *,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Show one agent with all that is known of it."""

    async def look(center: AsyncCenter) -> AgentDetail:
        return await center.agent((await find_agent(center, agent)).id)

    detail = ask(where, look)
    if as_json:
        show_json(detail)
    else:
        show_facts(_facts(detail))


def _facts(detail: AgentDetail) -> dict[str, str]:
    facts = {
        "id": detail.id,
        "label": detail.label,
        "hostname": detail.hostname,
        "status": _status(detail),
        "connection": _plain(detail.connection),
        "ip": detail.ip or "",
        "os": detail.os or "",
        "agent version": _build(detail.agent_version or detail.version or "", detail.agent_build),
        "newer at the center": _build(detail.newer.version, detail.newer.build) if detail.newer else "",
        "tags": " ".join(detail.tags),
        "groups": ", ".join(group.name for group in detail.groups),
        "profile": detail.profile.name if detail.profile else "",
        "settings": " ".join(f"{name}={value}" for name, value in _settings(detail)),
        "abilities": " ".join(detail.abilities),
        "first seen": at(detail.first_seen),
        "last seen": f"{at(detail.last_seen)} ({ago(detail.last_seen)})" if detail.last_seen else "never",
        "clock": "" if detail.clock_offset is None else f"{detail.clock_offset:+.1f} s",
        "conflict": _plain(detail.conflict),
    }
    facts |= {name: _plain(value) for name, value in (detail.metrics or {}).items()}
    return {name: value for name, value in facts.items() if value}


def _build(version: str, build: str) -> str:
    return f"{version} (build {build})" if build else version


def _settings(detail: AgentDetail) -> list[tuple[str, str]]:
    return list(detail.profile.params.items()) if detail.profile else []


def _plain(value: object) -> str:
    if value is None or (isinstance(value, dict | list) and not value):
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def delete_agents(
    agent: Annotated[str, Parameter(help="Id, label or hostname.")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Delete agents with all of their history. Their keys are dead at once."""

    async def find(center: AsyncCenter) -> list[Agent]:
        return [await find_agent(center, name) for name in (agent, *more)]

    async def delete(center: AsyncCenter) -> None:
        for one in found:
            await center.delete_agent(one.id)
            sys.stdout.write(f"Deleted {name_of(one)} ({one.id}).\n")

    found = ask(where, find)
    if not yes:
        names = ", ".join(f"{name_of(one)} ({one.id})" for one in found)
        confirm(f"Delete {names} with all history?")
    ask(where, delete)
