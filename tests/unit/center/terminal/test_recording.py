"""Recordings in blobs: in parts, in one piece, and neither more nor less after a cut."""

import json
from pathlib import Path

import pytest

from outrider.center.blobs.contract import Blobs
from outrider.center.blobs.opening import open_blobs
from outrider.center.terminal.recording import (
    MAX_RECORDED,
    Recording,
    RecordingMode,
    merge,
    parts_of,
    read,
    whole_key,
)
from outrider.kit.clock import SystemClock


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """A store in a folder."""
    return open_blobs(None, home=tmp_path)


def recording(
    blobs: Blobs, mode: RecordingMode = RecordingMode.OUTPUT, limit: int = MAX_RECORDED
) -> Recording:
    """A recording of one terminal."""
    return Recording(blobs, "term_1", mode, 0.0, SystemClock(), limit=limit)


async def text(blobs: Blobs, keys: list[str]) -> tuple[str, list[str]]:
    """What was shown, and the markers."""
    lines = (b"".join([piece async for piece in read(blobs, keys)])).splitlines()[1:]
    events = [json.loads(line) for line in lines]
    return (
        "".join(text for _, kind, text in events if kind == "o"),
        [text for _, kind, text in events if kind == "m"],
    )


async def test_a_cut_repeats_and_loses_nothing(blobs: Blobs) -> None:
    """What a host sends again is recorded once; what it has lost is marked."""
    first = recording(blobs)
    await first.begin(columns=80, rows=24, term="x", title="x")
    await first.shown(0, b"one ")
    await first.shown(4, b"two ")
    await first.flush()
    second = recording(blobs)
    await second.go_on(80, 24)
    await second.shown(0, b"one two three ")
    await second.flush()
    third = recording(blobs)
    await third.go_on(80, 24)
    await third.shown(20, b"end")
    await third.flush()
    assert await text(blobs, await parts_of(blobs, "term_1")) == (
        "one two three end",
        ["6 bytes of output were lost"],
    )
    whole = await merge(blobs, "term_1")
    assert whole == whole_key("term_1")
    assert await parts_of(blobs, "term_1") == []
    assert (await text(blobs, [whole]))[0] == "one two three end"


async def test_putting_together_may_be_cut_off(blobs: Blobs) -> None:
    """With the whole written and some parts gone, the whole stays what it is."""
    made = recording(blobs)
    await made.begin(columns=80, rows=24, term="x", title="x")
    await made.shown(0, b"all")
    await made.flush()
    parts = await parts_of(blobs, "term_1")
    await blobs.put(whole_key("term_1"), read(blobs, parts))
    await blobs.delete(parts[0])
    assert await merge(blobs, "term_1") == whole_key("term_1")
    assert await parts_of(blobs, "term_1") == []
    assert (await text(blobs, [whole_key("term_1")]))[0] == "all"


async def test_it_is_read_while_it_is_put_together(blobs: Blobs) -> None:
    """A reader who began with the parts goes on in the whole: no byte is missing, none comes twice."""
    made = recording(blobs)
    await made.begin(columns=80, rows=24, term="x", title="x")
    for number in range(3):
        await made.shown(number * 4, b"%03d " % number)
        await made.flush()
    parts = await parts_of(blobs, "term_1")
    expected = [piece async for piece in read(blobs, parts)]
    reading = read(blobs, parts)
    got = [await anext(reading)]
    assert await merge(blobs, "term_1") == whole_key("term_1")
    got += [piece async for piece in reading]
    assert b"".join(got) == b"".join(expected)


async def test_a_recording_is_bounded_as_it_is_written(blobs: Blobs) -> None:
    """Sizes and what JSON makes longer count, too, and over cuts; a marker says so once."""
    made = recording(blobs, limit=100_000)
    await made.begin(columns=80, rows=24, term="x", title="x")
    for _ in range(1_500):
        await made.resized(80, 24)
    await made.flush()
    for number in range(3):
        made = recording(blobs, limit=100_000)
        await made.go_on(80, 24)
        for offset in range(number * 10_000, number * 10_000 + 10_000, 1_000):
            await made.shown(offset, b"\x1b" * 1_000)
        await made.flush()
    parts = await parts_of(blobs, "term_1")
    assert 100_000 < sum([await blobs.size(part) for part in parts]) < 110_000
    assert (await text(blobs, parts))[1] == ["what follows is not recorded: it is too much"]


async def test_off_is_off(blobs: Blobs) -> None:
    """Nothing is written, and there is nothing to be put together."""
    made = recording(blobs, RecordingMode.OFF)
    await made.begin(columns=80, rows=24, term="x", title="x")
    await made.shown(0, b"x")
    await made.typed(b"x")
    await made.flush()
    assert await merge(blobs, "term_1") is None
