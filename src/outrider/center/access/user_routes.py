"""Routes of users: what administrators do with them."""

from typing import Any, Final

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from outrider.center.access.user_rows import User
from outrider.center.access.users import Users
from outrider.center.access.views import Name, Password, Status, UserView
from outrider.center.http.callers import Caller, access
from outrider.center.http.problems import documented
from outrider.domain.roles import Role

Asked = Request[Caller, Any, Any]
People = NamedDependency[Users]


class UserBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A user to be added; without a password one is made."""

    username: Name
    role: Role
    password: Password | None = None


class ChangeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a user; null leaves it."""

    username: Name | None = None
    role: Role | None = None
    disabled: bool | None = None


class UserDetail(UserView, kw_only=True):
    """A user as administrators see one; `created` is unix time."""

    disabled: bool
    created: float


class AddedUser(UserDetail, kw_only=True):
    """A new user; `password` is the one that was made, told once."""

    password: str | None = None


class MadePassword(msgspec.Struct, kw_only=True):
    """A password that was made, told once; it has to be changed at the next sign-in."""

    password: str


def _facts(user: User) -> dict[str, Any]:
    return {name: getattr(user, name) for name in UserDetail.__struct_fields__}


@get("/users", opt=access(Role.ADMIN))
async def list_users(users: People) -> list[UserDetail]:
    """List the users by name."""
    return [UserDetail(**_facts(user)) for user in await users.all()]


@post("/users", opt=access(Role.ADMIN), status_code=201, responses=documented([409]))
async def add_user(data: JSONBody[UserBody], request: Asked, users: People) -> AddedUser:
    """Add a user, of a role up to one's own."""
    user, made = await users.add(data.username, data.role, data.password, by=request.user.actor)
    return AddedUser(**_facts(user), password=made)


@get("/users/{user_id:str}", opt=access(Role.ADMIN), responses=documented([404]))
async def show_user(user_id: FromPath[str], users: People) -> UserDetail:
    """Show a user."""
    return UserDetail(**_facts(await users.show(user_id)))


@patch("/users/{user_id:str}", opt=access(Role.ADMIN), responses=documented([404, 409]))
async def change_user(
    user_id: FromPath[str], data: JSONBody[ChangeBody], request: Asked, users: People
) -> UserDetail:
    """Change a user's name or role, or whether they may sign in."""
    user = await users.change(
        user_id, username=data.username, role=data.role, disabled=data.disabled, by=request.user.actor
    )
    return UserDetail(**_facts(user))


@delete("/users/{user_id:str}", opt=access(Role.ADMIN), status_code=200, responses=documented([404, 409]))
async def remove_user(user_id: FromPath[str], request: Asked, users: People) -> Status:
    """Remove a user with all sessions and API tokens."""
    await users.remove(user_id, by=request.user.actor)
    return Status(status="removed")


@post(
    "/users/{user_id:str}/password",
    opt=access(Role.ADMIN),
    status_code=200,
    responses=documented([404, 409]),
)
async def reset_password(user_id: FromPath[str], request: Asked, users: People) -> MadePassword:
    """Give a user a new password; their sessions and API tokens end."""
    return MadePassword(password=await users.reset_password(user_id, by=request.user.actor))


@delete(
    "/users/{user_id:str}/totp", opt=access(Role.ADMIN), status_code=200, responses=documented([404, 409])
)
async def remove_second_factor(user_id: FromPath[str], request: Asked, users: People) -> Status:
    """Take away the second factor of somebody who has lost it."""
    await users.remove_second_factor(user_id, by=request.user.actor)
    return Status(status="removed")


HANDLERS: Final[list[ControllerRouterHandler]] = [
    list_users,
    add_user,
    show_user,
    change_user,
    remove_user,
    reset_password,
    remove_second_factor,
]
