"""The group-commit writer on both databases."""

import asyncio
import resource
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from outrider.center.store import events
from outrider.center.store.engine import Store, open_store
from outrider.center.store.events import Event
from outrider.center.store.schema import meta
from outrider.center.store.writer import Transaction
from outrider.domain.errors import Conflict, Invalid, Unavailable
from outrider.kit.batch import Closed
from tests.integration.center.store.parts import Do, HurriedClock, Note, notes, served, wire_to


async def all_events(store: Store) -> list[Event]:
    """Return the whole event log."""
    async with store.read() as conn:
        return await events.read_after(conn, 0, 10_000)


async def until_waiting(store: Store, count: int) -> None:
    """Let the loop run until that many items wait for the writer."""
    for _ in range(1_000):
        if store.writer.waiting >= count:
            return
        await asyncio.sleep(0)
    pytest.fail(f"{store.writer.waiting} items wait instead of {count}")


class Gate:
    """An item for `Do` that keeps its transaction open until a test lets it go on.

    A transaction is worked on in the loop, or in a thread where it may block: the gate fits both.
    """

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._opened = asyncio.Event()
        self._opened_for_threads = threading.Event()

    def open(self) -> None:
        """Let the transaction go on."""
        self._opened.set()
        self._opened_for_threads.set()

    async def __call__(self, tx: Transaction) -> None:
        """Wait inside the transaction."""
        self._loop.call_soon_threadsafe(self.entered.set)
        if threading.current_thread() is threading.main_thread():
            await self._opened.wait()
        else:
            self._opened_for_threads.wait()


@asynccontextmanager
async def busy(store: Store) -> AsyncIterator[None]:
    """Keep the writer busy for the block, so that what is submitted in it waits for the next commit."""
    gate = Gate()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.writer.submit(Do(), gate))
        await gate.entered.wait()
        try:
            yield
        finally:
            gate.open()


async def test_a_submit_answers_once_a_reader_can_see_it(store: Store) -> None:
    """When submit returns, the item is committed, and its result is what the write answered."""
    assert await store.writer.submit(Note(), ("a", "12345")) == 5
    assert await notes(store) == {"a": "12345"}


async def test_what_waits_is_written_in_one_commit(store: Store) -> None:
    """Everything submitted while one commit runs is applied together, in the order of submission."""
    note = Note()
    async with asyncio.TaskGroup() as tasks, busy(store):
        for number in range(100):
            tasks.create_task(store.writer.submit(note, (f"{number}", "x")))
        await until_waiting(store, 100)
    assert note.batches == [[f"{number}" for number in range(100)]]


async def test_kinds_are_applied_in_the_order_of_their_ranks(store: Store) -> None:
    """Within a commit a lower rank goes first, whatever was submitted first."""
    seen: list[str] = []

    def saying(word: str) -> Callable[[Transaction], Awaitable[None]]:
        async def say(_tx: Transaction) -> None:
            seen.append(word)

        return say

    late, early = Do(rank=20), Do(rank=5)
    async with asyncio.TaskGroup() as tasks, busy(store):
        tasks.create_task(store.writer.submit_many(late, [saying("c"), saying("d")]))
        tasks.create_task(store.writer.submit_many(early, [saying("a"), saying("b")]))
        await until_waiting(store, 4)
    assert seen == ["a", "b", "c", "d"]


async def test_a_domain_error_is_its_item_s_alone(store: Store) -> None:
    """An item that a rule refuses gets its error; the others of its batch are written, with their events."""
    await store.writer.submit(Note(), ("b", "old"))
    answers = await store.writer.submit_many(Note(), [("a", "x"), ("b", "new"), ("c", "yz")])
    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [1, Conflict, 2]
    assert await notes(store) == {"a": "x", "b": "old", "c": "yz"}
    assert [event.subject for event in await all_events(store)] == ["b", "a", "c"]
    with pytest.raises(Conflict):
        await store.writer.submit(Note(), ("b", "again"))


async def test_an_item_that_breaks_the_batch_fails_alone(store: Store) -> None:
    """A statement that fails takes nobody else down, and what is left is found in a few commits."""
    note = Note()
    items = [(f"{number}", "x") for number in range(200)]
    items[123] = ("7", "the same key twice breaks the insert")
    answers = await store.writer.submit_many(note, items)
    assert [place for place, answer in enumerate(answers) if answer != 1] == [123]
    assert isinstance(answers[123], Conflict)
    assert len(await notes(store)) == 199
    assert len(note.batches) < 30


async def test_a_broken_constraint_reaches_its_submitter(store: Store) -> None:
    """What no rule has foreseen is raised as it is, and is not taken for the database being away."""

    async def break_it(tx: Transaction) -> None:
        await tx.conn.execute(insert(meta), {"key": "epoch", "value": "again"})

    with pytest.raises(IntegrityError):
        await store.writer.submit(Do(), break_it)


async def test_events_are_numbered_in_commit_order_without_gaps(store: Store) -> None:
    """A transaction that is rolled back gives its numbers back; subscribers get what is in the database."""
    got: list[Event] = []
    end = store.writer.subscribe(got.extend)

    async def fail(tx: Transaction) -> None:
        tx.event("never", "x", {})
        await tx.conn.execute(insert(meta), {"key": "epoch", "value": "again"})

    await store.writer.submit(Note(), ("a", "x"))
    with pytest.raises(IntegrityError):
        await store.writer.submit(Do(), fail)
    await store.writer.submit_many(Note(), [("b", "x"), ("c", "x")])
    end()
    await store.writer.submit(Note(), ("d", "x"))
    written = await all_events(store)
    assert [(event.position, event.kind, event.subject) for event in written] == [
        (number, "note.written", key) for number, key in enumerate("abcd", 1)
    ]
    assert got == written[:3]


async def test_callbacks_run_after_the_commit_and_before_the_answer(store: Store) -> None:
    """A callback finds the row committed; one that fails disturbs nobody; none runs after a rollback."""
    called: list[str] = []

    async def write(tx: Transaction) -> None:
        tx.after_commit(lambda: called.append("first"))
        tx.after_commit(lambda: called.append(str(1 / 0)))
        tx.after_commit(lambda: called.append("last"))

    async def fail(tx: Transaction) -> None:
        tx.after_commit(lambda: called.append("never"))
        await tx.conn.execute(insert(meta), {"key": "epoch", "value": "again"})

    await store.writer.submit(Do(), write)
    assert called == ["first", "last"]
    with pytest.raises(IntegrityError):
        await store.writer.submit(Do(), fail)
    assert called == ["first", "last"]


async def test_a_write_that_does_not_answer_each_item_writes_nothing(store: Store) -> None:
    """Results that can't be told apart are a defect of the write: the transaction is rolled back."""

    class Mute(Note):
        async def apply(self, tx: Transaction, items: Sequence[tuple[str, str]]) -> Sequence[int | Exception]:
            await super().apply(tx, items)
            return []

    with pytest.raises(RuntimeError, match="answered 0 of 1"):
        await store.writer.submit(Mute(), ("a", "x"))
    assert await notes(store) == {}


@pytest.mark.parametrize("value", ["\ud800", "x\udfffy"], ids=["alone", "inside"])
async def test_text_that_no_database_keeps_is_invalid(store: Store, value: str) -> None:
    """Half a surrogate pair is the item's fault, and only its own."""
    answers = await store.writer.submit_many(Note(), [("a", "x"), ("b", value)])
    assert answers[0] == 1
    assert isinstance(answers[1], Invalid)


@pytest.mark.system
async def test_a_nul_that_postgresql_refuses_is_invalid(postgres_url: str, home: Path) -> None:
    """PostgreSQL keeps no NUL in a text; the submitter is told so as for any other bad value."""
    store = await open_store(postgres_url, home=home, clock=HurriedClock())
    async with served(store.writer):
        with pytest.raises(Invalid):
            await store.writer.submit(Note(), ("a", "x\0y"))
    await store.close()


async def test_a_number_that_no_database_keeps_is_invalid(store: Store) -> None:
    """More than 64 bits are the item's fault."""

    async def count(tx: Transaction) -> None:
        await tx.conn.execute(text("UPDATE counters SET value = :value"), {"value": 1 << 70})

    with pytest.raises(Invalid):
        await store.writer.submit(Do(), count)


async def test_an_item_is_written_though_its_submitter_has_gone(store: Store) -> None:
    """A caller that is cancelled leaves nothing half done."""
    async with asyncio.TaskGroup() as tasks, busy(store):
        leaving = tasks.create_task(store.writer.submit(Note(), ("a", "x")))
        await until_waiting(store, 1)
        leaving.cancel()
    await store.writer.submit(Note(), ("b", "x"))
    assert set(await notes(store)) == {"a", "b"}


async def test_stopping_writes_what_waits_and_refuses_what_comes(
    database_url: str | None, home: Path
) -> None:
    """A clean stop loses nothing that was taken, and takes nothing more."""
    store = await open_store(database_url, home=home, clock=HurriedClock())
    gate = Gate()
    async with asyncio.TaskGroup() as tasks, served(store.writer):
        tasks.create_task(store.writer.submit(Do(), gate))
        await gate.entered.wait()
        waiting = tasks.create_task(store.writer.submit(Note(), ("a", "x")))
        await until_waiting(store, 1)
        asyncio.get_running_loop().call_soon(gate.open)
    assert waiting.result() == 1
    assert await notes(store) == {"a": "x"}
    with pytest.raises(Closed):
        await store.writer.submit(Note(), ("b", "x"))
    await store.close()


async def test_readers_are_not_blocked_by_the_writer_and_can_t_write(store: Store) -> None:
    """A reader sees the last commit while a transaction is open, and one snapshot for as long as it reads."""
    await store.writer.submit(Note(), ("a", "x"))
    async with busy(store), store.read() as conn:
        keys = select(meta.c.key).where(meta.c.key != "epoch")
        assert (await conn.scalars(keys)).all() == ["a"]
    async with store.read() as conn:
        assert (await conn.scalars(keys)).all() == ["a"]
        await store.writer.submit(Note(), ("b", "x"))
        assert (await conn.scalars(keys)).all() == ["a"]
    async with store.read() as conn:
        with pytest.raises(Exception, match=r"(?i)read-?only"):
            await conn.execute(insert(meta), {"key": "c", "value": "x"})


@pytest.mark.system
class TestPostgresAway:
    """What becomes of submits while the way to PostgreSQL is broken."""

    async def test_a_connection_lost_inside_a_transaction_is_not_noticed(
        self, postgres_url: str, home: Path
    ) -> None:
        """The transaction is tried again on a new connection, and written once."""
        tries: list[int] = []

        async def lose_the_first(tx: Transaction) -> str:
            tries.append(1)
            await tx.conn.execute(insert(meta), {"key": "a", "value": "x"})
            tx.event("written", "a", {})
            if len(tries) == 1:
                await wire.cut()
                await wire.connect()
            await tx.conn.execute(select(meta.c.key))
            return "done"

        async with wire_to(postgres_url) as wire:
            store = await open_store(wire.url, home=home, clock=HurriedClock())
            async with served(store.writer):
                assert await store.writer.submit(Do(), lose_the_first) == "done"
                assert len(tries) == 2
                assert await notes(store) == {"a": "x"}
                assert len(await all_events(store)) == 1
            await store.close()

    async def test_submits_and_reads_fail_while_it_is_away_and_work_when_it_is_back(
        self, postgres_url: str, home: Path
    ) -> None:
        """Nobody hangs: callers get Unavailable with the reason; after the return all are served."""
        async with wire_to(postgres_url) as wire:
            store = await open_store(wire.url, home=home, clock=HurriedClock())
            async with served(store.writer):
                await wire.cut()
                answers = await store.writer.submit_many(Note(), [("a", "x"), ("b", "x")])
                assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
                with pytest.raises(Unavailable) as raised:
                    await notes(store)
                assert raised.value.fields["reason"] == "PostgreSQL can't be reached"
                await wire.connect()
                assert await store.writer.submit(Note(), ("a", "x")) == 1
                assert await notes(store) == {"a": "x"}
            await store.close()

    async def test_a_connection_lost_in_commit_is_told_as_such(self, postgres_url: str, home: Path) -> None:
        """The submitter learns that the item may be written; it is there whole or not at all."""
        async with wire_to(postgres_url) as wire:
            store = await open_store(wire.url, home=home, clock=HurriedClock())
            async with served(store.writer):
                wire.break_after = b"COMMIT"
                with pytest.raises(Unavailable) as raised:
                    await store.writer.submit(Note(), ("a", "x"))
                assert raised.value.fields["may_be_written"] is True
                await store.writer.submit(Note(), ("b", "x"))
                there = set(await notes(store))
                assert there in ({"b"}, {"a", "b"})
                assert {event.subject for event in await all_events(store)} == there
            await store.close()


@pytest.mark.system
async def test_replicas_take_turns(postgres_url: str, tmp_path: Path) -> None:
    """What a write has read stays true until it commits, though another center writes to the same row."""
    note = Note()

    async def count(tx: Transaction) -> None:
        value = int((await tx.conn.scalars(select(meta.c.value).where(meta.c.key == "n"))).one())
        await tx.conn.execute(update(meta).where(meta.c.key == "n").values(value=str(value + 1)))
        tx.event("counted", "n", {"value": value + 1})

    async def count_often(store: Store) -> None:
        for _ in range(50):
            await store.writer.submit(Do(), count)

    one = await open_store(postgres_url, home=tmp_path / "1", clock=HurriedClock())
    two = await open_store(postgres_url, home=tmp_path / "2", clock=HurriedClock())
    assert one.epoch == two.epoch
    async with served(one.writer, two.writer):
        await one.writer.submit(note, ("n", "0"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(count_often(one))
            tasks.create_task(count_often(two))
        assert await notes(one) == {"n": "100"}
        written = await all_events(two)
        assert [event.data["value"] for event in written[1:]] == list(range(1, 101))
        assert [event.position for event in written] == list(range(1, 102))
    await one.close()
    await two.close()


async def test_a_full_disk_fails_the_submit_and_is_got_over(home: Path) -> None:
    """SQLite without space: Unavailable with the reason, nothing half written; with space again all works."""
    store = await open_store(None, home=home, clock=HurriedClock())
    async with served(store.writer):
        await store.writer.submit(Note(), ("before", "x"))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            answers = await store.writer.submit_many(Note(), [("big", "x" * (4 << 20)), ("small", "x")])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        for answer in answers:
            assert isinstance(answer, Unavailable)
            assert answer.fields["reason"] in {"the disk is full", "the disk reports an input/output error"}
        assert set(await notes(store)) == {"before"}
        await store.writer.submit_many(Note(), [("big", "x" * (4 << 20)), ("small", "x")])
        assert set(await notes(store)) == {"before", "big", "small"}
    await store.close()
