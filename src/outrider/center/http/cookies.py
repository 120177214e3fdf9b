"""The cookie in which a browser keeps its session, out of reach of any script."""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

PLAIN: Final = "outrider_session"
"""Its name over plain HTTP, which only this machine and named proxies are answered on."""
SECURE: Final = "__Host-outrider_session"
"""Its name over TLS: browsers take it for this host alone, and never from a plain page."""


def session_in(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Find the session's token in the cookie; None without one."""
    cookies = connection.cookies
    if connection.scope["scheme"] in {"https", "wss"}:
        return cookies.get(SECURE) or None
    # Behind a proxy that ends TLS and is not named as one, the page is secure and the request is not.
    return cookies.get(SECURE) or cookies.get(PLAIN) or None


def keep_session(connection: ASGIConnection[Any, Any, Any, Any], token: str) -> Cookie:
    """Make the cookie that has a browser keep a session until it is closed; the center may end it before."""
    return _cookie(connection, token, None)


def drop_session(connection: ASGIConnection[Any, Any, Any, Any]) -> list[Cookie]:
    """Make the cookies that have a browser forget its session; none for who came without one."""
    return [_cookie(connection, "", 0)] if session_in(connection) is not None else []


def _cookie(connection: ASGIConnection[Any, Any, Any, Any], value: str, seconds: int | None) -> Cookie:
    # The page knows how it was reached; the request may have come through a proxy that ends TLS.
    page = urlsplit(connection.headers.get("origin", "")).scheme or connection.scope["scheme"]
    secure = page == "https"
    return Cookie(
        key=SECURE if secure else PLAIN,
        value=value,
        path="/",
        max_age=seconds,
        httponly=True,
        secure=secure,
        samesite="strict",
    )
