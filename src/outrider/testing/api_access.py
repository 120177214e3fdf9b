"""Who may come in, at the center without a center: users, sessions, tokens, the second factor, providers.

It keeps no secret: passwords are compared as text, and the second factor's code is always `CODE`.
"""

import itertools
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from aiohttp import web

from outrider.domain.errors import Conflict, Forbidden, Invalid, NotFound, OutriderError, Unauthenticated

Json: TypeAlias = dict[str, Any]

NOW: Final = 1_700_000_000
PASSWORD: Final = "correct horse"  # noqa: S105 - of a center that guards nothing
TOKEN: Final = "token-of-the-fake"  # noqa: S105 - likewise
CODE: Final = "123456"
"""The code that the second factor takes."""
RECOVERY_CODE: Final = "aaaa-bbbb"
_MADE_PASSWORD: Final = "made-by-the-center"  # noqa: S105 - likewise
_ROLES: Final = ("viewer", "operator", "admin", "super_admin")


class SecondFactorRequired(Unauthenticated):
    """The password was right, and a code is needed as well."""

    code = "second_factor_required"


class PasswordChangeRequired(Forbidden):
    """Nothing else goes before the password is changed."""

    code = "password_change_required"


class FakeAccess:
    """The room's state and its handlers. The user `admin` is the super admin, with the password PASSWORD."""

    def __init__(self) -> None:
        """Begin with `admin` and the session of TOKEN."""
        self.users: dict[str, Json] = {}
        self.passwords: dict[str, str] = {}
        #: Sessions by their token.
        self.sessions: dict[str, Json] = {}
        self.tokens: dict[str, Json] = {}
        self.providers: list[Json] = []
        #: One-use codes of providers' sign-ins, and whose they are.
        self.oidc_codes: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self.admin = self.add_user("admin", "super_admin", PASSWORD)
        self._open(self.admin, TOKEN)

    def add_user(self, username: str, role: str, password: str) -> Json:
        """Add a user and return it as the API shows it; changes to it show."""
        user: Json = {
            "id": f"user_{next(self._numbers):020d}",
            "username": username,
            "role": role,
            "totp": False,
            "must_change_password": False,
            "disabled": False,
            "created": NOW,
        }
        self.users[user["id"]] = user
        self.passwords[user["id"]] = password
        return user

    def _open(self, user: Json, token: str) -> Json:
        session = {
            "id": f"ses_{next(self._numbers):020d}",
            "user_id": user["id"],
            "username": user["username"],
            "created": NOW,
            "last_used": NOW,
            "expires": NOW + 86_400,
            "address": "127.0.0.1",
            "client": "",
        }
        self.sessions[token] = session
        return {"token": token, "expires": session["expires"], "user": shown(user)}

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        user = "/api/users/{user}"
        return [
            web.post("/api/login", self._login),
            web.post("/api/logout", self._logout),
            web.post("/api/password", self._password),
            web.get("/api/sessions", self._list_sessions),
            web.delete("/api/sessions", self._end_others),
            web.delete("/api/sessions/{session}", self._end_session),
            web.get("/api/users", self._list_users),
            web.post("/api/users", self._new_user),
            web.get(user, self._show_user),
            web.patch(user, self._edit_user),
            web.delete(user, self._delete_user),
            web.post(user + "/password", self._reset_password),
            web.delete(user + "/totp", self._remove_totp),
            web.post(user + "/revoke-tokens", self._revoke_all),
            web.post("/api/totp", self._begin_totp),
            web.post("/api/totp/confirm", self._confirm_totp),
            web.delete("/api/totp", self._disable_totp),
            web.get("/api/tokens", self._list_tokens),
            web.post("/api/tokens", self._new_token),
            web.delete("/api/tokens/{token}", self._revoke_token),
            web.post("/api/stream-token", self._stream_token),
            web.get("/api/oidc", self._list_providers),
            web.get("/api/oidc/{name}/login", self._oidc_login),
            web.post("/api/oidc/exchange", self._oidc_exchange),
        ]

    def authenticate(self, request: web.Request) -> Json:
        """The user who asks. Raises Unauthenticated, or PasswordChangeRequired."""
        session = self.sessions.get(_token(request))
        if session is None:
            raise Unauthenticated("The session is not valid or has ended; sign in again.")
        user = self.users[session["user_id"]]
        before_all_else = ("/api/session", "/api/password", "/api/logout")
        if user["must_change_password"] and request.path not in before_all_else:
            raise PasswordChangeRequired("Change your password first: it was given out by an administrator.")
        return user

    def _check_password(self, user: Json, password: object) -> None:
        if password != self.passwords[user["id"]]:
            raise Unauthenticated("The password is wrong.")

    async def _login(self, request: web.Request) -> web.Response:
        body = await request.json()
        user = next((one for one in self.users.values() if one["username"] == body["username"]), None)
        if user is None or user["disabled"] or body["password"] != self.passwords[user["id"]]:
            raise Unauthenticated("The user name or the password is wrong.")
        if user["totp"] and "code" not in body:
            raise SecondFactorRequired("A code of the second factor is needed.")
        if user["totp"] and body["code"] not in (CODE, RECOVERY_CODE):
            raise Unauthenticated("The code is wrong.")
        first = user is self.admin and TOKEN not in self.sessions
        return web.json_response(self._open(user, TOKEN if first else self._new_text("token")))

    def _new_text(self, word: str) -> str:
        return f"{word}-{next(self._numbers)}"

    async def _logout(self, request: web.Request) -> web.Response:
        self.sessions.pop(_token(request))
        return web.json_response({"status": "ended"})

    async def _password(self, request: web.Request) -> web.Response:
        body = await request.json()
        user = self.authenticate(request)
        self._check_password(user, body["current"])
        if len(body["new"]) < 10:  # noqa: PLR2004 - the rule of the real center
            raise Invalid("The password is too short: 10 characters at least.", field="new")
        self.passwords[user["id"]] = body["new"]
        user["must_change_password"] = False
        return web.json_response({"status": "changed"})

    async def _list_sessions(self, request: web.Request) -> web.Response:
        wanted = request.query.get("user", self.authenticate(request)["id"])
        ours = self.sessions[_token(request)]
        return web.json_response(
            [
                {**session, "current": session is ours}
                for session in self.sessions.values()
                if session["user_id"] == wanted
            ]
        )

    async def _end_session(self, request: web.Request) -> web.Response:
        wanted = request.match_info["session"]
        self._end(lambda session: session["id"] == wanted, NotFound("There is no such session."))
        return web.json_response({"status": "ended"})

    async def _end_others(self, request: web.Request) -> web.Response:
        ours = self.sessions[_token(request)]
        self._end(lambda session: session is not ours and session["user_id"] == ours["user_id"], None)
        return web.json_response({"status": "ended"})

    def _end(self, fits: Callable[[Json], bool], missing: OutriderError | None) -> None:
        found = [token for token, session in self.sessions.items() if fits(session)]
        if missing is not None and not found:
            raise missing
        for token in found:
            del self.sessions[token]

    def _user(self, request: web.Request) -> Json:
        user = self.users.get(request.match_info["user"])
        if user is None:
            raise NotFound("There is no such user.")
        return user

    async def _list_users(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.users.values()))

    async def _show_user(self, request: web.Request) -> web.Response:
        return web.json_response(self._user(request))

    async def _new_user(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["role"] not in _ROLES:
            raise Invalid(f"There is no role {body['role']}.", field="role")
        if any(user["username"] == body["username"] for user in self.users.values()):
            raise Conflict(f"There is a user {body['username']} already.")
        user = self.add_user(body["username"], body["role"], body.get("password", _MADE_PASSWORD))
        made = None if "password" in body else _MADE_PASSWORD
        user["must_change_password"] = made is not None
        return web.json_response({**user, "password": made}, status=201)

    async def _edit_user(self, request: web.Request) -> web.Response:
        user = self._user(request)
        user.update(await request.json())
        return web.json_response(user)

    async def _delete_user(self, request: web.Request) -> web.Response:
        user = self._user(request)
        if user is self.admin:
            raise Conflict("The last super admin can't be removed.")
        del self.users[user["id"]]
        self._end(lambda session: session["user_id"] == user["id"], None)
        return web.json_response({"status": "deleted"})

    async def _reset_password(self, request: web.Request) -> web.Response:
        user = self._user(request)
        self.passwords[user["id"]] = _MADE_PASSWORD
        user["must_change_password"] = True
        return web.json_response({"password": _MADE_PASSWORD})

    async def _remove_totp(self, request: web.Request) -> web.Response:
        self._user(request)["totp"] = False
        return web.json_response({"status": "removed"})

    async def _begin_totp(self, request: web.Request) -> web.Response:
        user = self.authenticate(request)
        self._check_password(user, (await request.json())["password"])
        uri = f"otpauth://totp/Outrider:{user['username']}?secret=JBSWY3DPEHPK3PXP&issuer=Outrider"
        return web.json_response({"secret": "JBSWY3DPEHPK3PXP", "uri": uri})

    async def _confirm_totp(self, request: web.Request) -> web.Response:
        if (await request.json())["code"] != CODE:
            raise Unauthenticated("The code is wrong.")
        self.authenticate(request)["totp"] = True
        return web.json_response({"recovery_codes": [RECOVERY_CODE]})

    async def _disable_totp(self, request: web.Request) -> web.Response:
        user = self.authenticate(request)
        self._check_password(user, (await request.json())["password"])
        user["totp"] = False
        return web.json_response({"status": "removed"})

    async def _list_tokens(self, request: web.Request) -> web.Response:
        wanted = request.query.get("user")
        found = [token for token in self.tokens.values() if wanted in (None, token["user_id"])]
        return web.json_response(found)

    async def _new_token(self, request: web.Request) -> web.Response:
        body = await request.json()
        user = self.users.get(body.get("user_id") or self.authenticate(request)["id"])
        if user is None:
            raise NotFound("There is no such user.")
        if user["role"] == "super_admin":
            raise Forbidden("A super admin has no API tokens.")
        token = {
            "id": f"tok_{next(self._numbers):020d}",
            "name": body["name"],
            "user_id": user["id"],
            "username": user["username"],
            "created": NOW,
            "created_by": "admin",
            "last_used": None,
            "expires": body.get("expires"),
        }
        self.tokens[token["id"]] = token
        return web.json_response({**token, "token": self._new_text("api-token")}, status=201)

    async def _revoke_token(self, request: web.Request) -> web.Response:
        if self.tokens.pop(request.match_info["token"], None) is None:
            raise NotFound("There is no such token.")
        return web.json_response({"status": "revoked"})

    async def _revoke_all(self, request: web.Request) -> web.Response:
        user_id = self._user(request)["id"]
        self.tokens = {name: token for name, token in self.tokens.items() if token["user_id"] != user_id}
        return web.json_response({"status": "revoked"})

    async def _stream_token(self, _: web.Request) -> web.Response:
        return web.json_response({"token": self._new_text("stream-token"), "expires": NOW + 30}, status=201)

    async def _list_providers(self, _: web.Request) -> web.Response:
        return web.json_response(self.providers)

    async def _oidc_login(self, request: web.Request) -> web.Response:
        # The provider's part is left out: whoever asks is `admin`, and is sent back with a code at once.
        code = self._new_text("code")
        self.oidc_codes[code] = self.admin["id"]
        raise web.HTTPFound(f"{request.query['redirect']}?code={code}")

    async def _oidc_exchange(self, request: web.Request) -> web.Response:
        user_id = self.oidc_codes.pop((await request.json())["code"], None)
        if user_id is None:
            raise Unauthenticated("The code is not known or was used.")
        return web.json_response(self._open(self.users[user_id], self._new_text("token")))


def shown(user: Json) -> Json:
    """A user as signing in shows them."""
    return {name: user[name] for name in ("id", "username", "role", "totp", "must_change_password")}


def _token(request: web.Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if kind == "Bearer" else ""
