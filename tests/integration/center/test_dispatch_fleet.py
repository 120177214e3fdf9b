"""A rolling dispatch to 2,000 linked hosts: so many at once, until too many have failed."""

import random
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from typing import Any, Final

import pytest

from outrider.domain.command_states import CommandState
from tests.fixtures.api import Api
from tests.fixtures.center import RunningCenter, center_process, open_api
from tests.fixtures.links import TestAgent
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.resources import Kept
from tests.integration.center.crowd import Crowd, many_files, store_agents

_HOSTS: Final = 2_000
_AT_ONCE: Final = 50
_MAY_FAIL: Final = 5
_STOPS_AFTER: Final = 900
_BODY: Final = {
    "type": "shell",
    "params": {"command": "true"},
    "concurrency": _AT_ONCE,
    "max_failures": _MAY_FAIL,
}


@pytest.fixture(scope="module")
def fleet_center(
    tmp_path_factory: pytest.TempPathFactory, kept: Kept, own_database_server: PostgresServer | None
) -> Iterator[tuple[RunningCenter, list[TestAgent]]]:
    """Give a center process that knows 2,000 approved agents, on each database."""
    home = tmp_path_factory.mktemp("fleet_center") / "home"
    with ExitStack() as stack:
        stack.enter_context(many_files())
        url = None
        if own_database_server is not None:
            url = own_database_server.url(stack.enter_context(own_database_server.database()))
        members = store_agents(home, _HOSTS, url)
        running = stack.enter_context(center_process(home, kept, database_url=url, heartbeat="300"))
        yield running, members


@pytest.mark.slow
async def test_a_dispatch_to_two_thousand_hosts(
    fleet_center: tuple[RunningCenter, list[TestAgent]],
) -> None:
    """50 at once as the hosts see it; after the sixth failure nobody is begun; all are accounted for."""
    center, members = fleet_center
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)  # noqa: S311 - chooses moments, guards nothing
    async with open_api(center.url, center.tokens) as api, Crowd(members).linked(api) as crowd:
        await _nobody_is_no_target(api)
        made = await api.post("/api/dispatches", {"target": "all", **_BODY})
        assert (made["total"], made["held"]) == (_HOSTS, _HOSTS - _AT_ONCE)
        failing = rng.sample(range(_STOPS_AFTER - _AT_ONCE), _MAY_FAIL)
        await _go_on(crowd, rng, _STOPS_AFTER, _HOSTS, failing=failing)

        # All places are taken again, so all that ended before is known: the next failure is the sixth.
        begun = crowd.begins
        await crowd.finish(crowd.some_at_work(rng)[0], CommandState.FAILED, exit_code=1)
        stopped = await _until_not(api, made, state="running")
        assert stopped["state"] == "stopped"
        await _end_all(crowd)
        done = await _until_not(api, made, finished=None)
        assert crowd.begins == begun
        assert (crowd.most, max(crowd.begun.values())) == (_AT_ONCE, 1)
        succeeded = begun - _MAY_FAIL - 1
        assert done["counts"] == {
            "succeeded": succeeded,
            "failed": _MAY_FAIL + 1,
            "cancelled": _HOSTS - begun,
        }
        assert await _reasons(api, made, "cancelled") == {
            "The dispatch stopped: more hosts failed than it allows.": _HOSTS - begun
        }

        again = await api.post(f"/api/dispatches/{made['id']}/retry", {})
        assert again["total"] == _HOSTS - succeeded
        everything = begun + again["total"]
        await _go_on(crowd, rng, everything, everything)
        await _end_all(crowd)
        done = await _until_not(api, again, finished=None)
        assert (done["state"], done["counts"]) == ("succeeded", {"succeeded": _HOSTS - succeeded})
        assert crowd.most == _AT_ONCE
        assert Counter(crowd.begun.values()) == {1: _HOSTS - _MAY_FAIL - 1, 2: _MAY_FAIL + 1}


async def _nobody_is_no_target(api: Api) -> None:
    answer = await api.ask("POST", "/api/dispatches", {"target": "tag:nobody", **_BODY})
    assert (answer.status, answer.code) == (400, "empty_target")
    assert await api.get("/api/dispatches") == []


async def _go_on(
    crowd: Crowd, rng: random.Random, upto: int, of: int, *, failing: Collection[int] = ()
) -> None:
    """Let random parts of those at work end, whenever all places are taken, until so many have begun.

    `of` is how many will have begun when nobody is left; `failing` are those that fail, by their number.
    """
    first = crowd.ends

    def is_full() -> bool:
        return crowd.begins >= min(crowd.ends + _AT_ONCE, of)

    while crowd.begins < upto:
        await crowd.until(is_full)
        for command_id in crowd.some_at_work(rng):
            failed = crowd.ends - first in failing
            state = CommandState.FAILED if failed else CommandState.SUCCEEDED
            await crowd.finish(command_id, state, exit_code=int(failed))
    await crowd.until(is_full)


async def _end_all(crowd: Crowd) -> None:
    for command_id in list(crowd.at_work):
        await crowd.finish(command_id)


async def _until_not(api: Api, dispatch: dict[str, Any], **field: object) -> Any:
    """Look at a dispatch until a field of it has another value; return it."""
    ((name, value),) = field.items()
    while (shown := await api.get(f"/api/dispatches/{dispatch['id']}"))[name] == value:
        pass
    return shown


async def _reasons(api: Api, dispatch: dict[str, Any], state: str) -> Counter[str]:
    """Count the reasons of a dispatch's commands in a state."""
    reasons: Counter[str] = Counter()
    after: str | None = ""
    while after is not None:
        path = f"/api/dispatches/{dispatch['id']}/commands?state={state}&limit=1000"
        page = await api.get(path + (f"&after={after}" if after else ""))
        reasons.update(each["reason"] for each in page["commands"])
        after = page["next"]
    return reasons
