"""Pages that ask: the center's own, and those of other sites."""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

from outrider.domain.errors import Forbidden

_PORTS: Final = {"http": 80, "https": 443}
_OWN_SITES: Final = frozenset({"same-origin", "none"})
_READING: Final = frozenset({"GET", "HEAD"})


def check_own_page(connection: ASGIConnection[Any, Any, Any, Any], public_url: str) -> None:
    """Refuse what a page of another site has a browser ask with its cookies. Raises Forbidden.

    `SameSite=Strict` holds back pages of other sites, but not those of other ports and names of the same one.
    What changes something has to say that it comes from the center's own page; what only reads must not
    say otherwise.
    """
    if connection.scope.get("method") not in _READING and "origin" not in connection.headers:
        raise Forbidden("A browser's session is for the center's own pages: the request names no Origin.")
    check_origin(connection, public_url)
    if connection.headers.get("sec-fetch-site", "none") not in _OWN_SITES:
        raise Forbidden("A browser's session is for the center's own pages; another page asks here.")


def check_origin(connection: ASGIConnection[Any, Any, Any, Any], public_url: str) -> None:
    """Refuse a page of another site. Raises Forbidden.

    Browsers open WebSockets to anywhere for any page, with what they know of the user; they say which page it
    was. Programs that are no browsers say nothing.
    """
    origin = connection.headers.get("origin")
    if origin is None:
        return
    asked = {connection.headers.get("host", "").lower(), urlsplit(public_url).netloc.lower()} - {""}
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        raise Forbidden(
            "This may be opened by the center's own pages only, and by no nameless one."
        ) from None
    names = {parts.netloc}
    if parts.scheme in _PORTS and parts.hostname:
        # A default port may be named or left out, by either.
        name = parts.netloc.removesuffix(f":{_PORTS[parts.scheme]}")
        names |= {name, f"{name}:{_PORTS[parts.scheme]}"} if name == parts.netloc else {name}
    if not names & asked or not parts.netloc:
        raise Forbidden(f"A page of {origin[:200]} may not open this: only the center's own pages may.")
