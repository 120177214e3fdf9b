"""Routes of profiles."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from outrider.center.groups.service import GroupService, ParameterView, ProfileView
from outrider.center.http.callers import Caller, access
from outrider.center.http.problems import documented
from outrider.domain.roles import Role

Groups = NamedDependency[GroupService]
Asked = Request[Caller, Any, Any]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
ParamName = Annotated[str, Meta(max_length=64)]
ParamValue = Annotated[str, Meta(max_length=1024)]


class ProfileBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A profile to be made."""

    name: Name
    params: Annotated[dict[ParamName, ParamValue], Meta(max_length=128)] = {}


class ProfileChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a profile. Parameters that are not named stay; null removes one."""

    name: Name | None = None
    params: Annotated[dict[ParamName, ParamValue | None], Meta(max_length=256)] = {}


class Deleted(msgspec.Struct, kw_only=True):
    """The profile is gone."""

    status: str = "deleted"


@get("/profiles", opt=access(Role.VIEWER))
async def list_profiles(groups: Groups) -> list[ProfileView]:
    """List the profiles by name."""
    return await groups.profiles()


@get("/profile-parameters", opt=access(Role.VIEWER))
async def list_parameters(groups: Groups) -> list[ParameterView]:
    """List the parameters that are known: a profile may have any others, too."""
    return groups.parameters()


@post("/profiles", opt=access(Role.ADMIN), status_code=201, responses=documented([409]))
async def make_profile(data: JSONBody[ProfileBody], request: Asked, groups: Groups) -> ProfileView:
    """Make a profile; it inherits from the default one."""
    return await groups.make_profile(name=data.name, params=data.params, by=request.user.actor)


@get("/profiles/{profile_id:str}", opt=access(Role.VIEWER), responses=documented([404]))
async def show_profile(profile_id: FromPath[str], groups: Groups) -> ProfileView:
    """Show a profile."""
    return await groups.profile(profile_id)


@patch("/profiles/{profile_id:str}", opt=access(Role.ADMIN), responses=documented([404, 409]))
async def change_profile(
    profile_id: FromPath[str], data: JSONBody[ProfileChange], request: Asked, groups: Groups
) -> ProfileView:
    """Change a profile; the agents that have it are told at once."""
    return await groups.change_profile(profile_id, name=data.name, params=data.params, by=request.user.actor)


@delete(
    "/profiles/{profile_id:str}", opt=access(Role.ADMIN), status_code=200, responses=documented([404, 409])
)
async def delete_profile(profile_id: FromPath[str], request: Asked, groups: Groups) -> Deleted:
    """Delete a profile that no group gives."""
    await groups.delete_profile(profile_id, by=request.user.actor)
    return Deleted()


def router() -> Router:
    """Make the routes."""
    return Router(
        "/api",
        route_handlers=[
            list_profiles,
            list_parameters,
            make_profile,
            show_profile,
            change_profile,
            delete_profile,
        ],
        tags=["groups"],
    )
