"""`outrider metrics` against the fake center: once, piped, over time, in a terminal."""

import asyncio
import json
import re
import time

import msgspec

from outrider.domain.telemetry.snapshot import Card, Disk, Load, Snapshot
from outrider.testing.api import FakeApi
from outrider.testing.api_access import NOW
from tests.integration.cli.program import Program
from tests.integration.cli.terminal import CTRL_C, terminal

_WEB = "agent_000000000001"


def _snapshot(number: int = 0, name: str = "eth0") -> Snapshot:
    return Snapshot(
        time=NOW - 60 + 5 * number,
        cpu_percent=12.5 * number,
        mem_percent=40.0,
        disk_percent=63.0,
        uptime_s=90_000,
        load=Load(one=1.25, five=1.0, fifteen=0.5),
        disks=(
            Disk(
                mount="/",
                device="/dev/vda1",
                type="ext4",
                total=10**9,
                used=10**8,
                free=9 * 10**8,
                percent=10.0,
            ),
        ),
        cards=(Card(name=name, received_bytes=2048.0, sent_bytes=10.0),),
    )


async def test_once_is_a_page_or_a_table(api: FakeApi, signed_in: Program) -> None:
    """One host has a page, many a table in which one that is away says so; names can't forge lines."""
    api.telemetry.of(_WEB).read(_snapshot(2, "eth0\n\x1b[31mforged"))
    one = await signed_in.run("metrics", "web-01", "--once")
    assert one.code == 0, one.err
    assert "25.0%" in one.out
    assert "\x1b" not in one.out
    many = await signed_in.run("metrics", "--once")
    assert many.out.splitlines()[0].startswith("HOST")
    assert "web-01" in many.out
    assert "not connected" in many.out
    gone = await signed_in.run("metrics", "db-01", "--once")
    assert (gone.code != 0, "not connected" in gone.err) == (True, True)


async def test_json_is_one_object_a_reading(api: FakeApi, signed_in: Program) -> None:
    """Programs get a line of JSON for each snapshot, with the host it is of."""
    api.telemetry.of(_WEB).read(_snapshot())
    told = json.loads((await signed_in.run("metrics", "web-01", "--once", "--json")).out)
    assert (told["agent_id"], told["host"], told["mem_percent"]) == (_WEB, "web-01", 40.0)


async def test_a_pipe_gets_a_line_a_reading(api: FakeApi, signed_in: Program) -> None:
    """Without a terminal each reading is a line, as it comes."""
    figures = api.telemetry.of(_WEB)
    figures.read(_snapshot(1))
    process = await signed_in.start("metrics", "web-01")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert b"cpu 12.5%" in await process.stdout.readline()
            figures.read(_snapshot(2))
            assert b"cpu 25.0%" in await process.stdout.readline()
    finally:
        process.kill()
        await process.wait()


async def test_the_past_is_a_table_with_sparklines(api: FakeApi, signed_in: Program) -> None:
    """Each series with its smallest, mean and largest value; JSON for programs."""
    now = time.time()
    for number in range(4):
        api.telemetry.of(_WEB).read(msgspec.structs.replace(_snapshot(number), time=now - 60 + 5 * number))
    shown = await signed_in.run("metrics", "web-01", "--history", "1h")
    assert shown.code == 0, shown.err
    (line,) = [each for each in shown.out.splitlines() if " cpu_percent " in each]
    assert line.split()[2:5] == ["0.00", "18.75", "37.50"]
    (past,) = json.loads((await signed_in.run("metrics", "web-01", "--history", "1h", "--json")).out)
    assert past["agent_id"] == _WEB
    both = await signed_in.run("metrics", "web-01", "--history", "1h", "--once")
    assert both.code == 2


async def test_a_terminal_is_drawn_again_and_given_back(api: FakeApi, signed_in: Program) -> None:
    """On a screen of its own, with sparklines, within the window; Ctrl-C leaves what was seen last."""
    figures = api.telemetry.of(_WEB)
    figures.read(_snapshot(1))
    async with terminal(signed_in, "metrics", "web-01", columns=100) as screen:
        await screen.see("\x1b[?1049h")
        await screen.see("12.5%")
        figures.read(_snapshot(6))
        await screen.see("75.0%")
        screen.resize(30)
        figures.read(_snapshot(7))
        await screen.see("87.5%")
        narrow = screen.shown[screen.shown.rindex("\x1b[H") :]
        assert all(len(line) < 30 for line in _drawn(narrow))
        figures.tell("away", {"code": "host_away", "detail": "The host has gone."})
        await screen.see("The host has gone.")
        screen.type(CTRL_C)
        await screen.see("\x1b[?1049l")
        await screen.see("87.5%")
        assert await screen.end() == 130


def _drawn(frame: str) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in frame.split("\r\n")]
