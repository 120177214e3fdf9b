"""A bundle as an answer, at the edge where bytes become messages."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from outrider.center.blobs.contract import BlobsUnavailable
from outrider.center.bundles.download import BundleDownload, Read
from outrider.center.bundles.service import Offer
from outrider.center.http.downloads import Exchange
from outrider.center.http.server import ABORT
from outrider.domain.file_errors import RangeNotSatisfiable

OFFER = Offer(
    version="1",
    build="0" * 12,
    name="x.tar.gz",
    digest="d" * 64,
    size=1000,
    unpacked=1,
    python="3.11",
    platform="linux-x86_64",
    glibc="",
    protocol=(1, 1),
)


class Wire:
    """What a client sees, and does."""

    def __init__(self) -> None:
        """Nothing has been sent."""
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()

    @property
    def body(self) -> bytes:
        """The bytes so far."""
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def status(self) -> int:
        """The status of the answer."""
        status: int = self.sent[0]["status"]
        return status

    @property
    def is_ended(self) -> bool:
        """Whether the answer was ended as it should be."""
        return self.sent[-1].get("more_body") is False

    def exchange(self) -> Exchange:
        """Give what answers it."""

        async def receive() -> Any:
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope: Any = {"extensions": {ABORT: {"now": self.gone.set}}}
        return Exchange(scope, receive, send)


async def _all(start: int, end: int) -> AsyncGenerator[bytes, None]:
    for place in range(start, end, 100):
        yield bytes(min(100, end - place))


async def _some(start: int, end: int) -> AsyncGenerator[bytes, None]:
    yield bytes((end - start) // 2)


async def _none(_start: int, _end: int) -> AsyncGenerator[bytes, None]:
    yield b"x" * 10
    raise BlobsUnavailable("The disk is gone.")


async def test_all_of_it_is_sent() -> None:
    """And then ended."""
    wire = Wire()
    await BundleDownload(OFFER, _all, {}).answer(wire.exchange())
    assert (wire.status, len(wire.body), wire.is_ended) == (200, OFFER.size, True)


async def test_a_part_is_sent() -> None:
    """As much as was asked for."""
    wire = Wire()
    await BundleDownload(OFFER, _all, {"range": "bytes=950-"}).answer(wire.exchange())
    assert (wire.status, len(wire.body), wire.is_ended) == (206, 50, True)


@pytest.mark.parametrize("read", [_some, _none])
async def test_bytes_that_end_too_early_are_not_taken_for_all(read: Read) -> None:
    """The connection is cut."""
    wire = Wire()
    await BundleDownload(OFFER, read, {}).answer(wire.exchange())
    assert wire.gone.is_set()
    assert not wire.is_ended


async def test_nothing_is_read_for_a_reader_that_has_gone() -> None:
    """The rest stays where it is."""
    wire, taken = Wire(), 0

    async def read(_start: int, end: int) -> AsyncGenerator[bytes, None]:
        nonlocal taken
        while taken < end:
            taken += 1
            yield b"x"
            wire.gone.set()
            await asyncio.sleep(0)

    await BundleDownload(OFFER, read, {}).answer(wire.exchange())
    assert taken < OFFER.size // 2
    assert not wire.is_ended


async def test_what_is_known_is_not_sent_again() -> None:
    """The head says so."""
    wire = Wire()
    await BundleDownload(OFFER, _none, {"if-none-match": f'"{OFFER.digest}"'}).answer(wire.exchange())
    assert (wire.status, wire.body, wire.is_ended) == (304, b"", True)


def test_a_part_that_lies_beyond_is_refused() -> None:
    """Before anything is sent."""
    with pytest.raises(RangeNotSatisfiable):
        BundleDownload(OFFER, _all, {"range": "bytes=1000-"})
