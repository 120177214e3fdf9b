"""The process of simulated hosts: `python -m bench.rig.fleet_process`, told what to do on standard input.

It writes a line on standard output each second and at the moments that are measured, all stamped with the
monotonic clock, which every process of a machine shares. It ends when its standard input does.
"""

import asyncio
import gc
import os
import random
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from bench.rig.enrolment import Member, read_members
from bench.rig.simulated_host import Door, SimulatedHost, Tally
from outrider.kit import logs
from outrider.kit.clock import SystemClock

_TALLY_EVERY: Final = 1.0
_MINUTES_EVERY: Final = 0.05
_REASONS: Final = 12


class FleetOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told: where the center is, who the hosts are, how fast they come at first."""

    center_url: str
    authority: str
    members: str
    dials_per_second: float
    minutes_per_second: float = 0.0
    minutes_after: float = 0.0


class Seconds(msgspec.Struct, frozen=True, kw_only=True, tag="second"):
    """The hosts as they are now; all but `linked` counts from the start."""

    at: float
    linked: int
    opened: int
    dials: int
    failed: int
    blocked: int
    loop_errors: int
    reasons: dict[str, int]
    minutes_taken: int = 0


class AllLinked(msgspec.Struct, frozen=True, kw_only=True, tag="all_linked"):
    """Every host has an open link; said each time the last one gets it."""

    at: float


class RoundDone(msgspec.Struct, frozen=True, kw_only=True, tag="round_done"):
    """As many results have been confirmed, since the last round, as there are hosts."""

    at: float
    first_order: float
    last_order: float


Line = Seconds | AllLinked | RoundDone


class _Teller:
    """Turns changes of the tally into lines."""

    def __init__(self, tally: Tally, hosts: int) -> None:
        self._tally = tally
        self._hosts = hosts
        self._all_linked = False
        self.all_linked = asyncio.Event()
        self._round_ends = hosts
        tally.changed = self.changed

    def changed(self) -> None:
        tally = self._tally
        if (tally.linked == self._hosts) is not self._all_linked:
            self._all_linked = not self._all_linked
            if self._all_linked:
                self._say(AllLinked(at=time.monotonic()))
                self.all_linked.set()
        if tally.confirmed >= self._round_ends:
            self._round_ends += self._hosts
            self._say(
                RoundDone(at=time.monotonic(), first_order=tally.first_order, last_order=tally.last_order)
            )
            tally.first_order = 0.0

    def second(self) -> None:
        tally = self._tally
        self.changed()
        self._say(
            Seconds(
                at=time.monotonic(),
                linked=tally.linked,
                opened=tally.opened,
                dials=tally.dials,
                failed=tally.failed,
                blocked=tally.blocked,
                loop_errors=tally.loop_errors,
                reasons=dict(tally.reasons.most_common(_REASONS)),
                minutes_taken=tally.minutes_taken,
            )
        )

    def _say(self, line: Line) -> None:
        os.write(sys.stdout.fileno(), msgspec.json.encode(line) + b"\n")


async def _run(order: FleetOrder, members: list[Member], authority: bytes) -> None:
    tally = Tally()
    teller = _Teller(tally, len(members))
    # Thousands of traces at once would take the fleet's time, and be measured as the center's slowness.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: _count_error(tally))
    clock = SystemClock()
    rng = random.Random()  # noqa: S311 (spreads retries, guards nothing)
    door = Door(order.center_url, authority)
    hosts = [SimulatedHost(member, door, tally, clock, rng) for member in members]
    # The collector would go through tens of thousands of living tasks again and again.
    gc.collect()
    gc.freeze()
    gc.disable()
    async with door.session, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(host.serve(place / order.dials_per_second), name=f"host {place}")
            for place, host in enumerate(hosts)
        ]
        tasks.append(group.create_task(_tell(teller), name="teller"))
        if order.minutes_per_second:
            tasks.append(group.create_task(_tell_minutes(order, hosts, teller), name="minutes"))
        await _end_of_input()
        for task in tasks:
            task.cancel()


def _count_error(tally: Tally) -> None:
    tally.loop_errors += 1


async def _tell(teller: _Teller) -> None:
    while True:
        await asyncio.sleep(_TALLY_EVERY)
        teller.second()


async def _tell_minutes(order: FleetOrder, hosts: list[SimulatedHost], teller: _Teller) -> None:
    """Let the hosts tell minutes, one after the other, evenly."""
    await teller.all_linked.wait()
    await asyncio.sleep(order.minutes_after)
    begun, told = time.monotonic(), 0
    while True:
        await asyncio.sleep(_MINUTES_EVERY)
        due = int((time.monotonic() - begun) * order.minutes_per_second)
        for number in range(told, due):
            hosts[number % len(hosts)].tell_minute(number // len(hosts))
        told = due


async def _end_of_input() -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    loop.remove_reader(sys.stdin.fileno())


def main() -> int:
    """Run the hosts that the first line of standard input tells of, until it ends."""
    order = msgspec.json.decode(os.read(sys.stdin.fileno(), 65_536), type=FleetOrder)
    logs.configure("error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        members = read_members(Path(order.members).read_bytes())
        runner.run(_run(order, members, Path(order.authority).read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
