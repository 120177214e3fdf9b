"""What retention removes, on both databases."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from outrider.center.store import events as event_rows
from outrider.center.store.engine import Store, open_store
from outrider.center.store.retention import Keep, Retention
from outrider.center.store.schema import (
    command_output,
    commands,
    dispatches,
    events,
    idempotency,
    sessions,
    users,
)
from outrider.center.store.writer import Transaction
from outrider.testing.clock import TurnedClock
from tests.integration.center.store.parts import Do, a_command, add, add_commands, served

_DAY = 86_400.0
_NOW = 1_700_000_000.0


@pytest.fixture
def clock() -> TurnedClock:
    """Give a clock that tests turn."""
    return TurnedClock(time=_NOW)


@pytest.fixture
async def store(database_url: str | None, home: Path, clock: TurnedClock) -> AsyncIterator[Store]:
    """Give an open store on the turned clock."""
    store = await open_store(database_url, home=home, clock=clock)
    try:
        async with served(store.writer):
            yield store
    finally:
        await store.close()


class Blobs:
    """Remembers which blobs were to be forgotten, and what was still in the database then."""

    def __init__(self, store: Store) -> None:
        self.forgotten: list[str] = []
        self.commands_left: list[int] = []
        self._store = store

    async def forget(self, keys: Sequence[str]) -> None:
        """Remember the keys."""
        self.forgotten += keys
        self.commands_left.append(await count(self._store, commands))


async def count(store: Store, table: Any) -> int:
    """Return how many rows a table has."""
    async with store.read() as conn:
        return (await conn.execute(select(func.count()).select_from(table))).scalar_one()


def retention(store: Store, clock: TurnedClock, blobs: Blobs, *, chunk: int = 3) -> Retention:
    """Make a retention that needs several chunks for anything."""
    return Retention(store, clock, keep=Keep(), forget_blobs=blobs.forget, chunk=chunk)


async def test_only_commands_that_ended_long_ago_go(store: Store, clock: TurnedClock) -> None:
    """90 days after its end a command goes with its output and blobs; one that has not ended stays."""
    old, new = _NOW - 91 * _DAY, _NOW - 89 * _DAY
    kept = [
        a_command("cmd_00", "agent_1", created=old, state="unknown"),
        a_command("cmd_01", "agent_1", created=old, state="running"),
        a_command("cmd_02", "agent_1", created=old, state="succeeded", settled=new),
        a_command("cmd_30", "agent_2", created=new, state="succeeded", settled=new),
        a_command("cmd_31", "agent_2", created=new, state="queued"),
    ]
    gone = [
        a_command(
            f"cmd_{number}", "agent_1", created=old, state="failed", settled=old + 1, stdout_blob=f"o{number}"
        )
        for number in range(10, 17)
    ]
    gone.append(a_command("cmd_17", "agent_2", created=old, state="expired", stderr_blob="e17"))
    await add_commands(
        store, *[{"stdout_blob": None, "stderr_blob": None, "settled": None} | row for row in kept + gone]
    )
    await add(store, command_output, {"command_id": "cmd_10", "channel": 1, "offset": 0, "data": b"x"})
    blobs = Blobs(store)
    removed = await retention(store, clock, blobs).run()
    assert removed.commands == 8
    assert set(removed.blobs) == set(blobs.forgotten) == {*(f"o{number}" for number in range(10, 17)), "e17"}
    async with store.read() as conn:
        ids = (await conn.scalars(select(commands.c.id).order_by(commands.c.id))).all()
    assert ids == [row["id"] for row in kept]
    assert await count(store, command_output) == 0


async def test_a_dispatch_goes_after_its_last_command(store: Store, clock: TurnedClock) -> None:
    """One whose host never answered stays with that command, and so does one that is young."""
    old, new = _NOW - 91 * _DAY, _NOW - 89 * _DAY
    common = {"target": "all", "type": "shell", "params": {}, "state": "failed", "created": old}
    common |= {"created_by": "u", "created_by_name": "u", "expires": old, "offline": "wait", "total": 1}
    finished = {"dsp_0": old, "dsp_1": old, "dsp_2": new, "dsp_3": None} | {f"dsp_{n}": old for n in "45678"}
    await add(store, dispatches, *({"id": i, "finished": at, **common} for i, at in finished.items()))
    await add_commands(
        store,
        a_command("cmd_0", "agent_1", created=old, state="failed", settled=old, dispatch_id="dsp_0"),
        a_command("cmd_1", "agent_1", created=old, state="unknown", settled=None, dispatch_id="dsp_1"),
    )
    removed = await retention(store, clock, Blobs(store)).run()
    assert (removed.commands, removed.dispatches) == (1, 6)
    async with store.read() as conn:
        left = (await conn.scalars(select(dispatches.c.id).order_by(dispatches.c.id))).all()
    assert left == ["dsp_1", "dsp_2", "dsp_3"]


async def test_blobs_go_before_the_rows_that_name_them(store: Store, clock: TurnedClock) -> None:
    """A run that is cut off between the two finds the rows again: no blob is left without an owner."""
    old = _NOW - 91 * _DAY
    await add_commands(
        store,
        *(
            a_command(f"cmd_{n}", "agent_1", created=old, state="failed", stdout_blob=f"b{n}")
            for n in range(3)
        ),
    )
    blobs = Blobs(store)
    await retention(store, clock, blobs, chunk=1).run()
    assert blobs.commands_left == [3, 2, 1]
    assert await count(store, commands) == 0


async def test_events_go_from_the_old_end_only(store: Store, clock: TurnedClock) -> None:
    """Seven days are kept. A wrong time is not in the way, and none in the middle is taken out."""
    week = 7 * _DAY
    times = [
        _NOW - week - 5,
        _NOW - week - 4,
        _NOW + 99 * week,
        _NOW - week - 3,
        _NOW - 1,
        _NOW - week - 2,
        _NOW,
    ]
    await add(
        store,
        events,
        *(
            {"position": n, "time": time, "kind": "k", "subject": "s", "data": {}}
            for n, time in enumerate(times, 1)
        ),
    )
    removed = await retention(store, clock, Blobs(store)).run()
    assert removed.events == 4
    async with store.read() as conn:
        assert [event.position for event in await event_rows.read_after(conn, 0, 99)] == [5, 6, 7]


async def test_answers_and_sessions_go_when_they_are_over(store: Store, clock: TurnedClock) -> None:
    """An idempotent answer is kept for a day, a session until it expires."""
    await add(
        store,
        idempotency,
        *(
            {"scope": "s", "key": f"{hours}", "answer": {}, "created": _NOW - hours * 3600.0}
            for hours in (1, 23, 25, 26, 27, 28)
        ),
    )
    await add(
        store,
        users,
        {"id": "u", "username": "u", "password_hash": "h", "role": "viewer", "created": 1.0, "stamp": "s"},
    )
    await add(
        store,
        sessions,
        *(
            {
                "id": f"ses_{n}",
                "user_id": "u",
                "token_hash": bytes([n]),
                "created": 1.0,
                "last_used": 1.0,
                "expires": _NOW - 2 + n,
            }
            for n in range(5)
        ),
    )
    removed = await retention(store, clock, Blobs(store)).run()
    assert (removed.idempotency, removed.sessions) == (4, 2)
    assert await count(store, idempotency) == 2
    assert await count(store, sessions) == 3


async def test_it_runs_by_itself_every_hour(store: Store, clock: TurnedClock) -> None:
    """A minute after the start and then hourly; what comes to age in between goes at the next run."""

    async def note(tx: Transaction) -> None:
        tx.event("k", "s", {})

    ran = asyncio.Event()

    async def forget(_keys: Sequence[str]) -> None:
        ran.set()

    async def age_a_command(number: int) -> None:
        ran.clear()
        old = clock.time() - 91 * _DAY
        await add(
            store,
            commands,
            a_command(f"cmd_{number}", "agent_0", created=old, state="failed", stdout_blob="b"),
        )

    await add_commands(store, a_command("cmd_0", "agent_0", created=_NOW))
    await store.writer.submit(Do(), note)
    async with served(Retention(store, clock, keep=Keep(), forget_blobs=forget)):
        for number, wait in enumerate((60, 3_600, 3_600), 1):
            await age_a_command(number)
            while not ran.is_set():
                await clock.advance(wait)
