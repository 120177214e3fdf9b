"""Answers in HTTP/1.1, as they come from a network."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.client.http1 import LIMIT, Answer, BrokenOff, MalformedAnswer, read_answer

BODIES = st.lists(st.binary(min_size=1, max_size=2000), max_size=6)


def stream_of(*pieces: bytes, ends: bool = True) -> asyncio.StreamReader:
    """A stream on which these pieces have come."""
    stream = asyncio.StreamReader(limit=LIMIT)
    for piece in pieces:
        stream.feed_data(piece)
    if ends:
        stream.feed_eof()
    return stream


async def read(*pieces: bytes, ends: bool = True) -> tuple[Answer, bytes]:
    """The answer in these pieces, and its body."""
    answer = await read_answer(stream_of(*pieces, ends=ends), silence=5)
    return answer, b"".join([piece async for piece in answer.pieces()])


def chunked(pieces: list[bytes]) -> bytes:
    """A body in chunks."""
    return b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nLate: 1\r\n\r\n"


def plain(pieces: list[bytes]) -> bytes:
    """A body as it is."""
    return b"".join(pieces)


@given(BODIES, st.sampled_from(["chunked", "length", "close"]), st.lists(st.integers(0, 4000), max_size=8))
def test_an_answer_is_the_same_however_it_is_cut(pieces: list[bytes], framing: str, cuts: list[int]) -> None:
    """Where the network cuts it changes nothing, in each of the three ways to say where a body ends."""
    body = plain(pieces)
    field = {
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "length": b"content-length: %d\r\n" % len(body),
        "close": b"",
    }[framing]
    head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:  two \r\n" + field + b"\r\n"
    whole = head + (chunked(pieces) if framing == "chunked" else body)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]

    async def come() -> tuple[Answer, bytes]:
        stream = asyncio.StreamReader(limit=LIMIT)

        async def feed() -> None:
            for start, end in pairwise(places):
                stream.feed_data(whole[start:end])
                await asyncio.sleep(0)
            if framing == "close":
                stream.feed_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(feed(), name="network")
            answer = await read_answer(stream, silence=5)
            return answer, b"".join([piece async for piece in answer.pieces()])

    answer, found = asyncio.run(come())
    assert (answer.status, answer.headers["x-a"], found) == (200, "1, two", body)
    assert answer.is_spent == (framing != "close")


@given(BODIES, st.integers(0, 20_000))
def test_an_answer_that_is_cut_short_is_never_taken_for_whole(pieces: list[bytes], cut: int) -> None:
    """Wherever the connection ends within an answer, it is said to have broken off."""
    for field, body in (
        (b"Transfer-Encoding: chunked", chunked(pieces)),
        (b"Content-Length: %d" % len(plain(pieces)), plain(pieces)),
    ):
        whole = b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n" + body
        with pytest.raises(BrokenOff):
            asyncio.run(read(whole[: cut % len(whole)]))


@given(
    st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]),
    st.binary(max_size=400),
)
def test_whatever_comes_is_an_answer_or_one_of_two_errors(head: bytes, noise: bytes) -> None:
    """No bytes make it fail in any other way, or wait for ever."""
    with suppress(BrokenOff, MalformedAnswer):
        answer, _ = asyncio.run(read(head + noise))
        assert answer.status == 200


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 17,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 400_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 10_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 100 + b"\r\n",
    ],
)
async def test_what_could_mislead_is_refused(said: bytes) -> None:
    """Other protocols, two lengths, codings we did not ask for, and heads without an end."""
    with pytest.raises(MalformedAnswer):
        await read(said)


async def test_interim_answers_are_passed_over() -> None:
    """100 and 103 come before the answer; they are not it."""
    answer, body = await read(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
        ends=False,
    )
    assert (answer.status, "link" in answer.headers, body) == (201, False, b"ok")


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0", b"HTTP/1.0 200\r\nContent-Length: 0"],
)
async def test_an_answer_may_be_the_connections_last(head: bytes) -> None:
    """When the other side says that it closes, or speaks HTTP/1.0, the connection is not used again."""
    answer, _ = await read(head + b"\r\n\r\n", ends=False)
    assert not answer.is_spent


async def test_an_answer_without_a_body_does_not_wait_for_one() -> None:
    """204 ends with its head."""
    answer, body = await read(b"HTTP/1.1 204 No Content\r\n\r\n", ends=False)
    assert (answer.is_spent, body) == (True, b"")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
async def test_silence_has_an_end(said: bytes) -> None:
    """Who says nothing more is not waited for longer than was said, before the head or within the body."""

    async def wait() -> None:
        answer = await read_answer(stream_of(said, ends=False), silence=0.01)
        async for _ in answer.pieces():
            pass

    with pytest.raises(TimeoutError):
        await wait()
