"""What every room of the client stands on: a way to ask, and what is the same for all of them."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from outrider.client.transport import Transport

T = TypeVar("T")

PAGE: Final = 1000
"""How many entries a page has unless the caller says otherwise."""
STREAM_PATIENCE: Final = 300.0
"""Seconds without a word after which following gives up, unless the caller says otherwise."""


class Asking(Protocol):
    """Somebody with a transport: the rooms of the client are mixed into it."""

    @property
    def url(self) -> str:
        """The center's address."""
        ...

    def _transport(self) -> Transport:
        """The open transport; it is opened at its first use."""
        ...

    async def _pause(self, seconds: float) -> None:
        """Wait before something is tried again."""
        ...


async def pages(
    asking: Asking, path: str, kind: type[T], query: Mapping[str, object]
) -> AsyncGenerator[list[T], None]:
    """The pages of a listing that names the next one in its `Link` header."""
    transport = asking._transport()  # noqa: SLF001 - the rooms are parts of one class
    asked: Mapping[str, str] | None = given(query)
    following: str | None = path
    while following is not None:
        page = await transport.fetch("GET", following, query=asked, repeatable=True)
        yield transport.decode(page.body, list[kind], path)  # type: ignore[valid-type]  # mypy knows no list of a variable
        following, asked = page.next_path, None


async def each(source: AsyncGenerator[list[T], None]) -> AsyncGenerator[T, None]:
    """The entries of all pages, one by one."""
    async with aclosing(source) as found:
        async for page in found:
            for entry in page:
                yield entry


def given(values: Mapping[str, object]) -> dict[str, str]:
    """What of a query was said: None is left out, numbers and truths become text."""
    return {
        name: ("true" if value else "false") if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }


def said(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a body was said: what is UNSET is left out, None stays."""
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}


def part(text: str) -> str:
    """One part of a path. An id that a person typed may hold anything; in the path it must stay one part."""
    return quote(text, safe="")
