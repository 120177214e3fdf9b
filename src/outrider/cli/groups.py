"""`outrider groups`: sets of agents, sorted by rules or by hand."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, at, show_facts, show_json, show_table
from outrider.cli.named import find_group, find_profile
from outrider.cli.naming import find_agent
from outrider.cli.prompts import confirm
from outrider.domain.errors import Invalid
from outrider.domain.groups.rules import parse
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, Group, GroupMember

_Name = Annotated[str, Parameter(name="GROUP", help="Name or id.")]
_Rule = Annotated[str | None, Parameter(help="Take in whose tags fit: 'SITE=x1 AND NOT RETIRED=^.*$'.")]
_Priority = Annotated[int | None, Parameter(help="Of several groups' profiles the greatest one's counts.")]
_Profile = Annotated[str | None, Parameter(help="The profile its members get; '' for none.")]
_MEMBERS: Final = [Column("LABEL"), Column("WHY", whole=True), Column("ID", whole=True)]


def command() -> App:
    """Make the command."""
    app = make_app("outrider groups", summary="Sets of agents, sorted by rules over their tags or by hand.")
    app.default(list_groups)
    app.command(list_groups, name="list")
    app.command(show, name="show")
    app.command(new, name="new")
    app.command(change, name="set")
    app.command(members, name="members")
    app.command(delete, name="delete")
    return app


def list_groups(*, as_json: AsJson = False, where: Where | None = None) -> None:
    """List groups."""
    groups = ask(where, lambda center: center.groups())
    if as_json:
        show_json(groups)
        return
    show_table(
        [
            Column("NAME"),
            Column("MEMBERS", whole=True),
            Column("PRIORITY", whole=True),
            Column("PROFILE"),
            Column("RULE"),
            Column("ID", whole=True),
        ],
        [
            [
                one.name,
                str(one.members),
                str(one.priority),
                one.profile.name if one.profile else "",
                one.rule,
                one.id,
            ]
            for one in groups
        ],
        empty="No groups: `outrider groups new` makes one.",
    )


def show(name: _Name, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """Show a group with its members."""

    async def look(center: AsyncCenter) -> tuple[Group, list[GroupMember]]:
        found = await find_group(center, name)
        return found, await center.group_members(found.id)

    found, there = ask(where, look)
    if as_json:
        show_json({"group": found, "members": there})
        return
    facts = {
        "id": found.id,
        "name": found.name,
        "rule": found.rule,
        "priority": str(found.priority),
        "profile": found.profile.name if found.profile else "",
        "members": str(found.members),
        "created": at(found.created),
    }
    show_facts({title: value for title, value in facts.items() if value})
    sys.stdout.write("\n")
    _show_members(there)


def _show_members(there: list[GroupMember]) -> None:
    rows = [
        [
            one.label,
            " ".join(word for word, is_so in (("hand", one.by_hand), ("rule", one.by_rule)) if is_so),
            one.id,
        ]
        for one in there
    ]
    show_table(_MEMBERS, rows, empty="Nobody is in it.")


def new(
    name: Annotated[str, Parameter(help="What it is called.")],
    /,
    *,
    rule: _Rule = None,
    priority: _Priority = None,
    profile: _Profile = None,
    where: Where | None = None,
) -> None:
    """Make a group: `outrider groups new berlin --rule 'SITE=berlin' --profile small`."""
    _check(rule)

    async def make(center: AsyncCenter) -> Group:
        gives = (await find_profile(center, profile)).id if profile else None
        return await center.new_group(name, rule=rule or "", priority=priority or 0, profile_id=gives)

    _tell("Made", ask(where, make))


def change(
    name: _Name,
    /,
    *,
    rename: Annotated[str | None, Parameter(help="Another name.")] = None,
    rule: _Rule = None,
    priority: _Priority = None,
    profile: _Profile = None,
    where: Where | None = None,
) -> None:
    """Change a group; --rule '' leaves its members to be put in by hand."""
    _check(rule)
    if rename is None and rule is None and priority is None and profile is None:
        raise Invalid("Say what to change: --rename, --rule, --priority or --profile.")

    async def edit(center: AsyncCenter) -> Group:
        gives: str | msgspec.UnsetType | None = msgspec.UNSET
        if profile is not None:
            gives = (await find_profile(center, profile)).id if profile else None
        return await center.edit_group(
            (await find_group(center, name)).id,
            name=msgspec.UNSET if rename is None else rename,
            rule=msgspec.UNSET if rule is None else rule,
            priority=msgspec.UNSET if priority is None else priority,
            profile_id=gives,
        )

    _tell("Changed", ask(where, edit))


def members(
    name: _Name,
    /,
    *,
    add: Annotated[list[str] | None, Parameter(help="Put this agent in by hand; may be repeated.")] = None,
    remove: Annotated[list[str] | None, Parameter(help="Take it out again; may be repeated.")] = None,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """List a group's members; put agents in by hand, and take them out."""

    async def look(center: AsyncCenter) -> list[GroupMember]:
        found = await find_group(center, name)
        if add or remove:
            await center.set_group_members(
                found.id,
                add=[(await find_agent(center, each)).id for each in add or ()],
                remove=[(await find_agent(center, each)).id for each in remove or ()],
            )
        return await center.group_members(found.id)

    there = ask(where, look)
    if as_json:
        show_json(there)
    else:
        _show_members(there)


def delete(
    name: _Name,
    /,
    *,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Delete a group. Its members stay, and lose what it gave them."""
    found = ask(where, lambda center: find_group(center, name))
    if not yes:
        confirm(f"Delete the group {escape(found.name)} of {found.members}?")
    ask(where, lambda center: center.delete_group(found.id))
    sys.stdout.write(f"Deleted {escape(found.name)}.\n")


def _check(rule: str | None) -> None:
    """Point at a mistake before anything is asked."""
    if rule:
        parse(rule)


def _tell(what: str, group: Group) -> None:
    sys.stdout.write(f"{what} {escape(group.name)} ({group.id}); members: {group.members}.\n")
