"""10,000 agents on wss with a heartbeat every 10 s: what they cost the center, and how they come back.

The center is the real one, with its settings as shipped. The agents are simulated in one process; each is the
agent's own link, so the way they come back after the center was killed is the shipped one. The center is
started anew between enrolment and the links, so that memory is compared with a center that has just begun.

The fleet takes about as much processor time for a link as the center does, so on a machine of two cores the
return is slowed by the fleet itself and by whatever else runs. The time is the center's own doing only where
the center's mean use while they came is near a whole core.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.rig.enrolment import Member, enrol
from bench.rig.figures import Figure, say
from bench.rig.fleet import Fleet
from bench.rig.fleet_process import AllLinked, Seconds
from bench.rig.folders import home
from bench.rig.operator import authority, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import CenterProgram
from bench.rig.usage import KILOBYTE, Usage, resident

TITLE = "10,000 agents on wss, heartbeat every 10 s"
_HOSTS = 10_000
_SETTLE_SECONDS = 15.0
_STEADY_SECONDS = 60.0
_BACK_SECONDS = 300.0
_DIALS_PER_SECOND = 80.0
_MAX_CORES = 0.2
_MAX_KILOBYTES = 50.0
_BACK_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class _Return:
    """How the fleet came back."""

    since_kill: float
    since_ready: float
    started_in: float
    fastest: float
    busiest: float
    center: float
    center_cores: float
    fleet_cores: float
    dials: int
    failed: int
    loop_errors: int


async def measure(options: Options) -> list[Figure]:
    """Link all hosts, look at the center for a minute, kill it and look at the return."""
    hosts = options.hosts or _HOSTS
    with home() as folder:
        async with CenterProgram(folder) as center:
            members = await _enrolled(center, hosts)
            await center.stop()
            await center.start()
            before = resident(center.pid)
            ca = await authority(center, folder)
            calm = Usage.of(center.pid)
            async with Fleet(
                folder, members, center.tls_url, ca, dials_per_second=_DIALS_PER_SECOND
            ) as fleet:
                await fleet.next(AllLinked)
                calm_cpu = Usage.of(center.pid).cpu - calm.cpu
                return await _observe(center, fleet, before, calm_cpu, options)


async def _enrolled(center: CenterProgram, hosts: int) -> list[Member]:
    began = time.monotonic()
    members = await enrol(center.url, await enrolment_key(center, await sign_in(center)), hosts)
    say(f"enrolled {hosts} simulated agents in {time.monotonic() - began:.1f} s")
    return members


async def _observe(
    center: CenterProgram, fleet: Fleet, before: int, calm: float, options: Options
) -> list[Figure]:
    first_dials = fleet.seconds[-1].dials
    say(f"all are linked; settling, then {_STEADY_SECONDS:.0f} s of heartbeats")
    await asyncio.sleep(_SETTLE_SECONDS)
    start, fleet_start = Usage.of(center.pid), Usage.of(fleet.pid)
    async with profiled(center.pid, wanted=options.profile):
        await asyncio.sleep(_STEADY_SECONDS)
    cores, fleet_cores = Usage.of(center.pid).cores_since(start), Usage.of(fleet.pid).cores_since(fleet_start)
    after = resident(center.pid)
    await fleet.catch_up()
    hosts = fleet.seconds[-1].linked
    say("killing the center")
    back = await _come_back(center, fleet, options)
    return [
        Figure(f"center's processor use with {hosts:,} links", cores, "cores", _MAX_CORES),
        Figure("center's memory a link", (after - before) / hosts / KILOBYTE, "KB", _MAX_KILOBYTES),
        Figure("all back, from the kill on", back.since_kill, "s", _BACK_WITHIN),
        Figure("all back, from the center's readiness on", back.since_ready, "s"),
        Figure("the center's restart", back.started_in, "s"),
        Figure("most links opened in a second", back.fastest, "links"),
        Figure("center's busiest second while they came", back.busiest, "cores"),
        Figure("center's processor use while they came, mean", back.center_cores, "cores"),
        Figure("fleet's processor use while they came, mean", back.fleet_cores, "cores"),
        Figure("dials for each link that came back", back.dials / hosts, "dials"),
        Figure("dials that got no socket", back.failed, "dials"),
        Figure("fleet's connections that broke half-way", back.loop_errors, "errors"),
        Figure("center's processor time a link, coming back", back.center / hosts * 1000, "ms"),
        Figure(
            f"center's time a link, heartbeats too, {_DIALS_PER_SECOND:.0f} a second at first",
            calm / hosts * 1000,
            "ms",
        ),
        Figure("dials for each link at first", first_dials / hosts, "dials"),
        Figure("fleet's processor use with heartbeats", fleet_cores, "cores"),
    ]


async def _come_back(center: CenterProgram, fleet: Fleet, options: Options) -> _Return:
    base = fleet.seconds[-1]
    killed = time.monotonic()
    await center.kill()
    await center.start()
    ready = time.monotonic()
    samples, fleet_start = [Usage.of(center.pid)], Usage.of(fleet.pid)
    async with profiled(center.pid, wanted=options.profile), asyncio.timeout(_BACK_SECONDS):
        back = await _until_all_are_linked(center, fleet, killed, samples)
    fleet_cores = Usage.of(fleet.pid).cores_since(fleet_start)
    seen = [second for second in fleet.seconds if second.at >= base.at]
    say("links opened in each second: " + " ".join(f"{rate:.0f}" for rate in _rates(seen)))
    reasons = Counter(seen[-1].reasons) - Counter(base.reasons)
    for reason, count in reasons.most_common():
        say(f"{count:6} times without a link since the kill: {reason}")
    return _Return(
        since_kill=back - killed,
        since_ready=back - ready,
        started_in=center.started_in,
        fastest=max(_rates(seen)),
        busiest=max(later.cores_since(earlier) for earlier, later in pairwise(samples)),
        center=samples[-1].cpu - samples[0].cpu,
        center_cores=samples[-1].cores_since(samples[0]),
        fleet_cores=fleet_cores,
        dials=seen[-1].dials - base.dials,
        failed=seen[-1].failed - base.failed,
        loop_errors=seen[-1].loop_errors - base.loop_errors,
    )


async def _until_all_are_linked(
    center: CenterProgram, fleet: Fleet, killed: float, samples: list[Usage]
) -> float:
    """Return when the last host was back; the center's usage is sampled with every line of the fleet."""
    while True:
        second = await fleet.next(Seconds)
        samples.append(Usage.of(center.pid))
        if second.at > killed and fleet.all_linked_at > killed:
            return fleet.all_linked_at


def _rates(seconds: Sequence[Seconds]) -> list[float]:
    return [(later.opened - earlier.opened) / (later.at - earlier.at) for earlier, later in pairwise(seconds)]


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
