"""Where a sign-in with a provider may lead back to: the center's pages, or a program on the same machine."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from outrider.domain.errors import Invalid

MAX_LENGTH: Final = 500
_CONSOLE: Final = "/console"
_PLAIN: Final = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without spaces and backslashes, which browsers take for slashes."""


class ReturnAddress(msgspec.Struct, frozen=True):
    """An address that was found safe to lead back to."""

    text: str
    #: A program on the caller's machine waits there; else it is a page of the center.
    is_program: bool

    @property
    def shows_refusals(self) -> bool:
        """Whether what goes wrong is told there, in `error` and `error_description`."""
        return (
            self.is_program or self.text == _CONSOLE or self.text.startswith((f"{_CONSOLE}/", f"{_CONSOLE}?"))
        )

    def with_query(self, query: str) -> str:
        """Write the address with more in its query."""
        bare, hash_, fragment = self.text.partition("#")
        return f"{bare}{'&' if '?' in bare else '?'}{query}{hash_}{fragment}"


def console() -> ReturnAddress:
    """The console, for a browser whose sign-in is not known any more: where it came from is not either."""
    return ReturnAddress(f"{_CONSOLE}/", is_program=False)


def parse(text: str) -> ReturnAddress:
    """Read a path of the center (`/...`) or `http://127.0.0.1:PORT/...`. Raises Invalid for anything else."""
    if len(text) <= MAX_LENGTH and _PLAIN.fullmatch(text):
        if text.startswith("/") and not text.startswith("//"):
            return ReturnAddress(text, is_program=False)
        if _is_loopback(text):
            return ReturnAddress(text, is_program=True)
    raise Invalid(
        "`redirect` must be a path of the center, such as /, or http://127.0.0.1:PORT/ of a waiting program.",
        field="redirect",
    )


def _is_loopback(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return False
    return (
        parts.scheme == "http"
        and bool(port)
        and address.is_loopback
        and parts.username is None
        and parts.password is None
        and parts.path.startswith("/")
    )
