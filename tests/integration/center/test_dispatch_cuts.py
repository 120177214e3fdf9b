"""Dispatches where something is cut off in the middle: a host goes, the center goes, two do it at once."""

import asyncio
import itertools
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from outrider.center.dispatches.service import DAY
from outrider.center.dispatches.writes import CreateDispatches, NewDispatch, Release
from outrider.center.fleet.link_writes import Arrived
from outrider.domain.actors import CENTER
from outrider.domain.command_states import CommandState
from outrider.domain.connection_states import Approval
from outrider.domain.dispatches import Limits, Offline
from outrider.domain.identity import Verdict
from outrider.domain.ids import AgentId, DispatchId, new_dispatch_id
from outrider.kit.tasks import Tasks
from outrider.protocol.messages import Execute
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import PATIENCE, Api
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import TestLink
from tests.integration.center.dispatching import Hosts, hosts, until


class Workers:
    """Hosts that do what they are told, and what they were given so far."""

    def __init__(self, links: list[TestLink]) -> None:
        self.begun: Counter[str] = Counter()
        self._links = links
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Workers"]:
        """Let them work while the block runs."""
        async with Tasks("workers") as tasks:
            for link in self._links:
                tasks.spawn("work", self._work(link))
            yield self

    async def until_begun(self, count: int) -> None:
        """Return once they were given that much in all."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.begun.total() >= count)

    async def _work(self, link: TestLink) -> None:
        while True:
            order = await link.order()
            async with self._changed:
                self.begun[order.id] += 1
                self._changed.notify_all()
            await link.accept(order.id)
            await link.finish(order.id, exit_code=0)


def _never(_: object) -> bool:
    return False


def _nothing(_: object) -> None:
    return None


async def _begin(own: OwnCenter, fleet: Hosts, release: Release) -> DispatchId:
    """Begin a dispatch to all hosts, with commands given to them as `release` says."""
    now = time.time()
    new = NewDispatch(
        id=new_dispatch_id(now),
        target=fleet.target,
        type="shell",
        params={"command": "true"},
        by=CENTER,
        expires=now + DAY,
        limits=Limits(),
        offline=Offline.WAIT,
        hosts=[agent.id for agent in fleet.agents],
    )
    return await own.center.store.writer.submit(CreateDispatches(release), new)


async def test_a_host_that_is_declined_is_left_out(each_api: Api) -> None:
    """What waits for it ends with the reason, linked or not; what it has is its own to end."""
    async with hosts(each_api, 3, away=1) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body(concurrency=1))
        order = await fleet.links[0].order()
        await fleet.links[0].accept(order.id)
        for number in (0, 1, 3):
            await each_api.post(f"{fleet.agents[number].path}/decline")
        await until(each_api, made, held=1)
        await fleet.links[0].finish(order.id, exit_code=0)
        await fleet.links[2].run()
        done = await until(each_api, made, state="failed")
        assert done["counts"] == {"succeeded": 2, "cancelled": 2}
        assert fleet.links[1].nothing_of(Execute)
        left_out = await each_api.get(f"/api/dispatches/{made['id']}/commands?state=cancelled")
        assert {each["reason"] for each in left_out["commands"]} == {"The host is not approved any more."}


async def test_a_host_that_is_deleted_keeps_no_place(each_api: Api) -> None:
    """It is counted as gone, and the next gets its turn; of hosts that are all gone none has succeeded."""
    async with hosts(each_api, 3) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body(concurrency=1))
        order = await fleet.links[0].order()
        await fleet.links[0].accept(order.id)
        await each_api.ask("DELETE", fleet.agents[0].path)
        await fleet.links[1].run()
        await fleet.links[2].run()
        done = await until(each_api, made, state="succeeded")
        assert (done["counts"], done["gone"], done["total"]) == ({"succeeded": 2}, 1, 3)
    async with hosts(each_api, 0, away=2) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body())
        for agent in fleet.agents:
            await each_api.ask("DELETE", agent.path)
        done = await until(each_api, made, state="failed")
        assert (done["counts"], done["gone"]) == ({}, 2)


async def test_a_host_that_has_lost_its_record_is_not_asked_again(each_api: Api) -> None:
    """It comes back with a new spool: what it had is `interrupted`, and the next host gets its turn."""
    async with hosts(each_api, 2) as fleet:
        agent = fleet.agents[0]
        made = await each_api.post("/api/dispatches", fleet.body(concurrency=1))
        order = await fleet.links[0].order()
        await fleet.links[0].accept(order.id)
        await fleet.links[0].settled()
        await fleet.links[0].socket.close()
        agent.incarnation, agent.generation = "another spool", 0
        async with agent.linked(each_api) as link:
            await fleet.links[1].run()
            done = await until(each_api, made, state="failed")
            assert done["counts"] == {"interrupted": 1, "succeeded": 1}
            await link.settled()
            assert link.nothing_of(Execute)


async def test_nobody_is_asked_after_a_cancellation(each_api: Api) -> None:
    """Cancelled at any moment of its release, a command was begun once by its host or never."""
    async with hosts(each_api, 5) as fleet, Workers(fleet.links).at_work() as workers:
        for begun in range(5):
            before = workers.begun.total()
            made = await each_api.post("/api/dispatches", fleet.body(concurrency=2))
            await workers.until_begun(before + begun)
            path = f"/api/dispatches/{made['id']}"
            await each_api.ask("POST", f"{path}/cancel")
            done = await until(each_api, made, unanswered=[])
            assert sum(done["counts"].values()) == 5
            for command in (await each_api.get(f"{path}/commands"))["commands"]:
                was_asked = command["sent"] is not None
                assert workers.begun[command["id"]] == was_asked, command
                assert command["status"] == ("succeeded" if was_asked else "cancelled")


async def test_a_key_gives_its_first_dispatch_whatever_is_asked_with_it(each_api: Api) -> None:
    """Also when the target means nobody by now; retries have keys of their own."""
    key = {"Idempotency-Key": secrets.token_hex(8)}
    async with hosts(each_api, 1) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body(), headers=key)
        other = fleet.body(params={"command": "false"})
        assert await each_api.post("/api/dispatches", other, headers=key) == made
        await each_api.ask("PATCH", fleet.agents[0].path, {"tags": []})
        nobody = await each_api.ask("POST", "/api/dispatches", fleet.body())
        assert nobody.code == "empty_target"
        assert (await each_api.post("/api/dispatches", fleet.body(), headers=key))["id"] == made["id"]
        order = await fleet.links[0].order()
        await fleet.links[0].finish(order.id, CommandState.FAILED, exit_code=1)
        path = f"/api/dispatches/{made['id']}/retry"
        again = await each_api.post(path, {}, headers=key)
        assert again["retry_of"] == made["id"]
        assert (await each_api.post(path, {}, headers=key))["id"] == again["id"]
        await fleet.links[0].run()
        await until(each_api, again, state="succeeded")
        assert len(await each_api.get(f"{fleet.agents[0].path}/commands")) == 2


async def test_a_host_that_goes_before_it_was_sent_anything_keeps_no_place(
    tmp_path: Path, own_database_url: str | None
) -> None:
    """Released while it counted as there, and away by now: the next is asked, and it when it is back."""
    clock = TurnedClock()
    async with (
        own_center(tmp_path, clock=clock, heartbeat=1.0, database_url=own_database_url) as own,
        hosts(own.api, 2) as fleet,
    ):
        # Hosts are asked in the order of their ids.
        gone, there = sorted(fleet.links, key=lambda link: link.agent.id)
        await gone.socket.close()
        while (await own.api.get(gone.agent.path))["connection"]["link"] != "none":
            pass
        made = await own.api.post("/api/dispatches", fleet.body(concurrency=1))
        assert (made["counts"], made["held"]) == ({"queued": 2}, 1)
        for _ in range(30):
            await clock.advance(0.5)
            await there.settled()
        await there.run()
        await until(own.api, made, counts={"succeeded": 1, "queued": 1}, held=1)
        async with gone.agent.linked(own.api) as back:
            await back.run()
            await until(own.api, made, state="succeeded")


async def test_trying_again_while_others_are_at_work(each_api: Api) -> None:
    """A retry of a dispatch that runs goes to those that have failed so far, and the first goes on."""
    async with hosts(each_api, 2) as fleet:
        made = await each_api.post("/api/dispatches", fleet.body())
        failed = await fleet.links[0].order()
        await fleet.links[0].finish(failed.id, CommandState.FAILED, exit_code=1)
        again = await each_api.post(f"/api/dispatches/{made['id']}/retry", {})
        assert [each["agent_id"] for each in again["unanswered"]] == [fleet.agents[0].id]
        await fleet.links[0].run()
        await until(each_api, again, state="succeeded")
        assert (await each_api.get(f"/api/dispatches/{made['id']}"))["state"] == "running"
        await fleet.links[1].run()
        await until(each_api, made, state="failed")


async def test_hosts_that_never_come(tmp_path: Path, own_database_url: str | None) -> None:
    """When the time of a dispatch is over it ends, rolling or not, though nobody was ever there."""
    clock = TurnedClock()
    async with (
        own_center(tmp_path, clock=clock, database_url=own_database_url) as own,
        hosts(own.api, 0, away=3) as fleet,
    ):
        made = [
            await own.api.post("/api/dispatches", fleet.body(ttl=60, concurrency=limit))
            for limit in (None, 1)
        ]
        for dispatch in made:
            shown = dispatch
            for _ in range(200):
                if shown["finished"] is not None:
                    break
                await clock.advance(1.0)
                shown = await own.api.get(f"/api/dispatches/{dispatch['id']}")
            assert (shown["state"], shown["counts"]) == ("failed", {"expired": 3})


async def test_a_center_that_ends_before_it_could_deliver(
    tmp_path: Path, own_database_url: str | None
) -> None:
    """What is stored as sent and was not is sent when the hosts are back, once."""
    async with own_center(tmp_path, database_url=own_database_url) as own:
        async with hosts(own.api, 2) as fleet:
            pass
        dispatch_id = await _begin(own, fleet, Release(lambda _: True, lambda _: True, _nothing, _nothing))
        shown = await own.api.get(f"/api/dispatches/{dispatch_id}")
        assert shown["counts"] == {"sent": 2}
    async with own_center(tmp_path, database_url=own_database_url) as own, AsyncExitStack() as stack:
        links = [await stack.enter_async_context(agent.linked(own.api)) for agent in fleet.agents]
        for link in links:
            await link.run()
        await until(own.api, shown, state="succeeded")
        for link in links:
            await link.settled()
            assert link.nothing_of(Execute)


async def test_a_link_that_opens_while_its_command_is_stored(tmp_path: Path) -> None:
    """Stored as waiting for a host whose link opened before the commit: it is sent all the same."""
    async with own_center(tmp_path) as own, hosts(own.api, 1) as fleet, Tasks("wakes") as tasks:
        asked = itertools.count()

        def wake(agent_id: AgentId) -> None:
            tasks.spawn("wake", own.center.commands.delivery.wake(agent_id))

        await _begin(own, fleet, Release(lambda _: next(asked) > 0, lambda _: True, _nothing, wake))
        await fleet.links[0].run()


async def test_a_sweep_finds_what_waits_for_a_linked_host(tmp_path: Path) -> None:
    """Whatever was lost between a commit and the link: nothing waits for a host that is there."""
    async with own_center(tmp_path) as own, hosts(own.api, 1) as fleet:
        await _begin(own, fleet, Release(_never, lambda _: True, _nothing, _nothing))
        await fleet.links[0].settled()
        assert fleet.links[0].nothing_of(Execute)
        await own.center.commands.delivery.resend(time.time() + 1.0)
        await fleet.links[0].run()


async def test_what_waited_long_and_was_just_sent_is_not_given_up(tmp_path: Path) -> None:
    """A held command that goes out while its host arrives has gone out on the new link: it is left alone."""
    async with own_center(tmp_path) as own, hosts(own.api, 2) as fleet:
        made = await own.api.post("/api/dispatches", fleet.body(concurrency=1))
        await fleet.links[0].run()
        order = await fleet.links[1].order()
        command = await own.api.get(f"{fleet.agents[1].path}/commands/{order.id}")
        assert command["sent"] > command["created"]
        arrived = Arrived(
            approval=Approval.APPROVED,
            label="",
            verdict=Verdict.NEW_SPOOL,
            fence=1,
            at=command["sent"],
            begun=(),
        )
        assert await own.center.commands.delivery.catch_up(fleet.agents[1].id, (), arrived) == []
        await fleet.links[1].finish(order.id, exit_code=0)
        await until(own.api, made, state="succeeded")
