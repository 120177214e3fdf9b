"""The console: one page and its files, read when they are asked for.

The build puts beside each file what brotli and gzip make of it. Files in `assets/` carry a digest of their
content in their name, so a browser never asks for one twice: memory held for them would be held for nothing.
"""

import asyncio
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from litestar.types import Receive, Scope, Send

BUILT: Final = Path(__file__).parent / "built"
"""Where the build puts the console."""
STAMP: Final = "stamp"
"""The file in which the build notes what it was made from."""
ROOT: Final = "/console"
_PAGE: Final = "index.html"
_HASHED: Final = "assets/"
_ENCODINGS: Final = {".br": "br", ".gz": "gzip"}
_READING: Final = frozenset({"GET", "HEAD"})
_NAME: Final = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*", re.ASCII)
"""A name inside the built folder: no part of it leads out."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere and nothing inline: text of a host that became markup would still do nothing."""
_SAFE: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NOT_BUILT: Final = b"This center was installed without its console. The API and the CLI work as ever.\n"


@dataclass(frozen=True, slots=True)
class _File:
    media_type: str
    caching: str
    etag: str
    encoding: str
    body: bytes


class Pages:
    """The ASGI application behind `/` and `/console`."""

    def __init__(self, folder: Path = BUILT) -> None:
        """Serve what the build has left in `folder`; while it has left nothing, every address says so."""
        self._folder = folder

    @staticmethod
    def has(path: str) -> bool:
        """Tell whether an address is the console's."""
        return path in {"/", ROOT} or path.startswith(f"{ROOT}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file, or for any other address with the page, which knows what to show there."""
        path, method = scope["path"], scope.get("method", "")
        if method not in _READING:
            await _answer(send, 405, [(b"allow", b"GET, HEAD"), _text()], b"The console is read only.\n")
            return
        if path in {"/", ROOT}:
            await _answer(send, 307, [(b"location", f"{ROOT}/".encode())], b"")
            return
        asked = dict(scope["headers"])
        accepted = asked.get(b"accept-encoding", b"").decode("latin-1")
        file = await asyncio.to_thread(self._find, path.removeprefix(f"{ROOT}/"), accepted)
        if file is None:
            built = await asyncio.to_thread((self._folder / _PAGE).exists)
            body = b"There is no such file; load the page anew.\n" if built else _NOT_BUILT
            await _answer(send, 404, [_text(), (b"cache-control", b"no-store")], body, method)
            return
        await _send_file(send, file, asked, method)

    def _find(self, name: str, accepted: str) -> _File | None:
        if name.startswith(_HASHED):
            return _read(self._folder, name, accepted)
        return _read(self._folder, name, accepted) or _read(self._folder, _PAGE, accepted)


async def _send_file(send: Send, file: _File, asked: Mapping[bytes, bytes], method: str) -> None:
    etag = file.etag.encode()
    headers = [
        (b"etag", etag),
        (b"cache-control", file.caching.encode()),
        (b"vary", b"accept-encoding"),
        *_SAFE,
    ]
    known = {each.strip().removeprefix(b"W/") for each in asked.get(b"if-none-match", b"").split(b",")}
    if known & {etag, b"*"}:
        await _answer(send, 304, headers, None)
        return
    headers.append((b"content-type", file.media_type.encode()))
    if file.encoding:
        headers.append((b"content-encoding", file.encoding.encode()))
    await _answer(send, 200, headers, file.body, method)


def _taken(accepted: str) -> set[str]:
    """Tell which encodings a browser takes."""
    taken = set()
    for part in accepted.lower().split(","):
        name, _, quality = part.partition(";")
        if quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            taken.add(name.strip())
    return taken


async def _answer(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes | None, method: str = "GET"
) -> None:
    if body is not None:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    sent = b"" if method == "HEAD" or body is None else body
    await send({"type": "http.response.body", "body": sent, "more_body": False})


def _text() -> tuple[bytes, bytes]:
    return (b"content-type", b"text/plain; charset=utf-8")


def _read(folder: Path, name: str, accepted: str) -> _File | None:
    """Read a file as the browser takes it best: brotli before gzip before neither, of what the build made."""
    path = folder / name
    if _NAME.fullmatch(name) is None or path.suffix in _ENCODINGS or name == STAMP:
        return None
    taken = _taken(accepted)
    for suffix, encoding in (*_ENCODINGS.items(), ("", "")):
        if encoding and encoding not in taken:
            continue
        try:
            body = path.with_name(path.name + suffix).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            continue
        return _File(
            media_type=_media_type(path),
            caching="public, max-age=31536000, immutable" if name.startswith(_HASHED) else "no-cache",
            etag=f'"{hashlib.sha256(body).hexdigest()[:20]}"',
            encoding=encoding,
            body=body,
        )
    return None


def _media_type(path: Path) -> str:
    if path.suffix == ".js":
        return "text/javascript; charset=utf-8"  # what the machine's own tables say of it differs
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
