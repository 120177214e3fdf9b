"""The link between an agent and its center is cut, slow, half-open, or leads nowhere for a while."""

import asyncio

from outrider.protocol.limits import SILENCE
from tests.acceptance import errands
from tests.acceptance.fleet import HEARTBEAT, Fleet, Host
from tests.fixtures.proxy import Proxy

_CUTS = 3
_COMMANDS = 60
_SWEEP = 1.0
_BUSY_MACHINE = 3.0
_OUTAGE = 6.0
_DIALS_IN_OUTAGE = 12
"""With a delay that doubles from a second, six seconds have room for five dials; far fewer than a storm's."""


async def _behind_proxy(fleet: Fleet, *, tls: bool) -> tuple[Host, Proxy]:
    proxy = await fleet.add_proxy(fleet.center.tls_port if tls else fleet.center.port)
    return await fleet.add_host("host", proxy=proxy, tls=tls), proxy


async def test_a_link_that_is_cut_loses_and_repeats_nothing(fleet: Fleet) -> None:
    """A TLS link is cut after a random number of bytes, again and again: each command still runs once."""
    host, proxy = await _behind_proxy(fleet, tls=True)
    work = [(host, errands.mixed(fleet.rng, number)) for number in range(_COMMANDS)]
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(fleet.send_all(work))
        for _ in range(_CUTS):
            proxy.cut_after(fleet.rng.choice([200, 2_000, 20_000]) + fleet.rng.randrange(2_000))
            await proxy.until(lambda proxy: not proxy.will_cut)
    await fleet.assert_done(sending.result())


async def test_a_slow_link_is_only_slow(fleet: Fleet) -> None:
    """Half a second each way takes nothing: no command fails, and the host stays online."""
    host, proxy = await _behind_proxy(fleet, tls=False)
    proxy.delay(0.5)
    sent = await fleet.send_all((host, errands.mixed(fleet.rng, number)) for number in range(20))
    await fleet.assert_done(sent)
    assert "agent.offline" not in fleet.journal.kinds[host.agent_id]


async def test_a_half_open_link_shows_as_offline_and_heals(fleet: Fleet) -> None:
    """A host that says nothing is offline after three heartbeats, its command `unknown` until it is back."""
    host, proxy = await _behind_proxy(fleet, tls=False)
    await fleet.answers(host)
    running = await fleet.send(host, errands.nap(SILENCE * HEARTBEAT))
    await fleet.journal.until_begun([running.id])
    proxy.stall()
    waiting = await fleet.send(host, errands.quick(1))
    await fleet.journal.until_kind(host.agent_id, "agent.offline")
    for sent in (running, waiting):
        assert (await fleet.api.command(host.agent_id, sent.id))["status"] == "unknown"
    assert (await fleet.api.agent(host.agent_id))["status"] == "offline"
    offline = next(event for event in fleet.journal.all if event.kind == "agent.offline")
    # The center looks once a second.
    assert offline.time - offline.data["last_seen"] <= SILENCE * HEARTBEAT + _SWEEP + _BUSY_MACHINE
    proxy.resume()
    await fleet.journal.until_kind(host.agent_id, "agent.online", 2)
    await fleet.assert_done([running, waiting])


async def test_a_center_that_is_away_is_not_stormed(fleet: Fleet) -> None:
    """While nobody answers, agents dial less and less often; when the center is back, so are they."""
    proxy = await fleet.add_proxy()
    hosts = [await fleet.add_host(f"host-{number}", proxy=proxy) for number in range(3)]
    dials = proxy.dials
    proxy.refuse(on=True)
    proxy.cut()
    too_many = dials + _DIALS_IN_OUTAGE * len(hosts)
    try:
        await proxy.until(lambda proxy: proxy.dials > too_many, _OUTAGE)
    except TimeoutError:
        proxy.refuse(on=False)
    else:
        raise AssertionError(f"more than {too_many - dials} dials in {_OUTAGE} s")
    for host in hosts:
        await fleet.answers(host)
