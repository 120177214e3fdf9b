"""Signing in with a provider: in a browser, which comes back to us on the loopback address.

What comes back is a code for one use; a page that does not know the secret in our address is turned away.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import webbrowser
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from outrider.domain.errors import NotFound, Unauthenticated
from outrider.kit.nearest import nearest
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from outrider.client import AsyncCenter, SignIn

_MAX_HEAD: Final = 16 * 1024
_PATIENCE: Final = 300.0
_HEAD_SECONDS: Final = 10.0
_DONE: Final = "You are signed in. This page can be closed."
_NOT_DONE: Final = "Signing in did not work; the terminal says why. This page can be closed."


async def sign_in(center: AsyncCenter, name: str) -> SignIn:
    """Show the address to open, wait for the browser, and open the session.

    Raises NotFound for a provider the center does not have, and Unauthenticated.
    """
    known = [provider.name for provider in await center.oidc_providers()]
    if name not in known:
        guess = nearest(name, known)
        hint = f"Did you mean {guess}?" if guess else f"It knows: {', '.join(known) or 'none'}."
        raise NotFound(f"The center has no provider {name[:80]!r}. {escape(hint)}")
    return await center.oidc_exchange(await _code(center, name))


async def _code(center: AsyncCenter, name: str) -> str:
    path = f"/{secrets.token_urlsafe(24)}"
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _serve(reader, writer, path, answered)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_MAX_HEAD)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _show(center.oidc_address(name, f"http://127.0.0.1:{port}{path}"))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await answered
        except TimeoutError:
            raise Unauthenticated("Nobody signed in within five minutes. Try again.") from None


def _show(address: str) -> None:
    sys.stderr.write(f"Open this address in a browser on this machine:\n\n    {address}\n\n")
    sys.stderr.flush()
    # Without a screen a text browser would take the terminal away from us.
    if os.environ.get("BROWSER") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, answered: asyncio.Future[str]
) -> None:
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        # A browser opens connections that it does not use; whatever this was, it was no answer.
        return
    method, _, rest = head.partition(b" ")
    address = urlsplit(rest.partition(b" ")[0].decode("latin-1"))
    if method != b"GET" or not secrets.compare_digest(address.path.encode(), path.encode()):
        await _answer(writer, "404 Not Found", "There is nothing here.")
        return
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    code = query.get("code", "")
    await _answer(writer, "200 OK", _DONE if code else _NOT_DONE)
    if answered.done():
        return
    if code:
        answered.set_result(code)
    else:
        why = query.get("error_description") or query.get("error") or "it said nothing"
        answered.set_exception(Unauthenticated(f"The provider did not vouch for you: {escape(why[:300])}."))


async def _answer(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = f"<!doctype html><meta charset=utf-8><title>Outrider</title><p>{text}\n".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
