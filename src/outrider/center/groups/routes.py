"""Routes of groups."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from outrider.center.groups.rows import MemberRow
from outrider.center.groups.service import GroupPreview, GroupService, GroupView
from outrider.center.http.callers import Caller, access
from outrider.center.http.paging import next_page
from outrider.center.http.problems import documented
from outrider.domain.roles import Role

Groups = NamedDependency[GroupService]
Asked = Request[Caller, Any, Any]
MAX_PAGE: Final = 10_000
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Rule = Annotated[str, Meta(max_length=65_536)]
Priority = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
ProfileKey = Annotated[str, Meta(max_length=80)]
AgentIds = Annotated[list[Annotated[str, Meta(max_length=80)]], Meta(max_length=1000)]


class GroupBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A group to be made. `profile` is a profile's id; without a rule its members are put in by hand."""

    name: Name
    rule: Rule = ""
    priority: Priority = 0
    profile: ProfileKey | None = None


class GroupChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a group; what is left out stays. `profile` null: it gives none any more."""

    name: Name | UnsetType = UNSET
    rule: Rule | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    profile: ProfileKey | UnsetType | None = UNSET


class MembersBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Agents to be put into a group by hand, and to be taken out again."""

    add: AgentIds = []
    remove: AgentIds = []


class GroupPreviewBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A sorting rule, the group that would get it (null: a new one), and how many agents to show."""

    rule: Rule
    group: Annotated[str, Meta(max_length=80)] | None = None
    limit: Annotated[int, Meta(ge=0, le=1000)] = 20


class Deleted(msgspec.Struct, kw_only=True):
    """The group is gone; its members stay."""

    status: str = "deleted"


@get("/groups", opt=access(Role.VIEWER))
async def list_groups(groups: Groups) -> list[GroupView]:
    """List the groups by name."""
    return await groups.groups()


@post("/groups", opt=access(Role.ADMIN), status_code=201, responses=documented([404, 409]))
async def make_group(data: JSONBody[GroupBody], request: Asked, groups: Groups) -> GroupView:
    """Make a group; its rule takes agents in at once."""
    return await groups.make_group(
        name=data.name, rule=data.rule, priority=data.priority, profile=data.profile, by=request.user.actor
    )


@post("/groups/preview", opt=access(Role.VIEWER), status_code=200, responses=documented([404]))
async def preview_group(data: JSONBody[GroupPreviewBody], groups: Groups) -> GroupPreview:
    """Show whom a sorting rule would take in now, without doing anything."""
    return await groups.preview(data.rule, data.group, data.limit)


@get("/groups/{group_id:str}", opt=access(Role.VIEWER), responses=documented([404]))
async def show_group(group_id: FromPath[str], groups: Groups) -> GroupView:
    """Show a group."""
    return await groups.group(group_id)


@patch("/groups/{group_id:str}", opt=access(Role.ADMIN), responses=documented([404, 409]))
async def change_group(
    group_id: FromPath[str], data: JSONBody[GroupChange], request: Asked, groups: Groups
) -> GroupView:
    """Change a group; another rule moves agents in and out at once."""
    return await groups.change_group(
        group_id,
        name=data.name,
        rule=data.rule,
        priority=data.priority,
        profile=data.profile,
        by=request.user.actor,
    )


@delete("/groups/{group_id:str}", opt=access(Role.ADMIN), status_code=200, responses=documented([404]))
async def delete_group(group_id: FromPath[str], request: Asked, groups: Groups) -> Deleted:
    """Delete a group; its members stay, and lose what it gave them."""
    await groups.delete_group(group_id, by=request.user.actor)
    return Deleted()


@get("/groups/{group_id:str}/members", opt=access(Role.VIEWER), responses=documented([404]))
async def list_members(
    group_id: FromPath[str],
    request: Asked,
    groups: Groups,
    limit: Annotated[int | None, QueryParameter(ge=1, le=MAX_PAGE)] = None,
    after: FromQuery[str | None] = None,
) -> Response[list[MemberRow]]:
    """List a group's members in the order they enrolled; with `limit`, `Link` names the next page."""
    found = await groups.members(group_id, after=after, limit=None if limit is None else limit + 1)
    headers = {}
    if limit is not None and len(found) > limit:
        found = found[:limit]
        headers["Link"] = next_page(request, found[-1].id)
    return Response(found, headers=headers)


@post("/groups/{group_id:str}/members", opt=access(Role.ADMIN), status_code=200, responses=documented([404]))
async def set_members(
    group_id: FromPath[str], data: JSONBody[MembersBody], request: Asked, groups: Groups
) -> GroupView:
    """Put agents into a group by hand and take others out; whom its rule takes in stays in it."""
    return await groups.set_members(group_id, add=data.add, remove=data.remove, by=request.user.actor)


def router() -> Router:
    """Make the routes."""
    return Router(
        "/api",
        route_handlers=[
            list_groups,
            make_group,
            preview_group,
            show_group,
            change_group,
            delete_group,
            list_members,
            set_members,
        ],
        tags=["groups"],
    )
