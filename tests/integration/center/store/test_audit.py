"""The audit log on both databases: chained with the change it tells of, verified, exported, shortened."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from outrider.center.audit.service import AuditService, Verdict
from outrider.center.store import audit as audit_rows
from outrider.center.store.audit import Filter
from outrider.center.store.engine import Store, open_store
from outrider.center.store.retention import Keep, Retention
from outrider.center.store.writer import Transaction
from outrider.domain.actors import CENTER, Actor, ActorKind
from outrider.domain.audit import FIRST, Line, Walk, parse_head
from outrider.domain.errors import Conflict, Unavailable
from outrider.testing.clock import TurnedClock
from tests.integration.center.store.parts import Do, HurriedClock, served

_DAY = 86_400.0
_NOW = 1_700_000_000.0
_ADA = Actor(kind=ActorKind.USER, id="user_1", name="ada", via="ses_1", address="192.0.2.1")


_FORGERIES = [
    ("UPDATE audit SET time = time + 1 WHERE number = 3", 3),
    ("UPDATE audit SET actor_kind = 'agent' WHERE number = 3", 3),
    ("UPDATE audit SET actor_kind = 'ghost' WHERE number = 3", 3),
    ("UPDATE audit SET actor_id = 'user_2' WHERE number = 3", 3),
    ("UPDATE audit SET actor_name = 'eve' WHERE number = 3", 3),
    ("UPDATE audit SET via = '' WHERE number = 3", 3),
    ("UPDATE audit SET address = '' WHERE number = 3", 3),
    ("UPDATE audit SET action = 'thing.look' WHERE number = 3", 3),
    ("UPDATE audit SET subject = 'another' WHERE number = 3", 3),
    ("UPDATE audit SET data = '{}' WHERE number = 3", 3),
    ("UPDATE audit SET data = ' ' || data WHERE number = 3", 3),
    ("UPDATE audit SET data = 'no json' WHERE number = 3", 3),
    ("UPDATE audit SET hash = (SELECT hash FROM audit WHERE number = 2) WHERE number = 3", 3),
    ("DELETE FROM audit WHERE number = 3", 3),
    ("DELETE FROM audit WHERE number = 1", 1),
    ("DELETE FROM audit WHERE number > 3", 4),
    ("DELETE FROM audit", 1),
    ("UPDATE audit SET number = number + 1 WHERE number = 5", 5),
    (
        """INSERT INTO audit SELECT 6, time, actor_kind, actor_id, actor_name, via, address, action,
        subject, data, hash FROM audit WHERE number = 5""",
        6,
    ),
    ("UPDATE meta SET value = '4' || substr(value, 2) WHERE key = 'audit_head'", 5),
    ("DELETE FROM meta WHERE key = 'audit_head'", 1),
    ("UPDATE meta SET value = 'no head' WHERE key = 'audit_head'", 0),
    ("INSERT INTO meta (key, value) VALUES ('audit_anchor', '1:no hash')", 0),
]


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


async def write(
    store: Store, count: int, *, by: Actor = _ADA, action: str = "thing.do", subject: str = "thing"
) -> None:
    """Write that many entries, each in a transaction of its own."""
    do = Do()
    for number in range(count):

        async def put(tx: Transaction, number: int = number) -> None:
            tx.audit(by, action, subject, {"n": number, "text": "x\0y\u2028"})

        await store.writer.submit(do, put)


async def tamper(store: Store, statement: str, **values: Any) -> None:
    """Change the database behind the center's back."""

    async def change(tx: Transaction) -> None:
        await tx.conn.execute(text(statement), values)

    await store.writer.submit(Do(), change)


async def verify(store: Store) -> Verdict:
    """Walk the log."""
    return await AuditService(store).verify()


async def numbers(store: Store, **wanted: Any) -> list[int]:
    """Return the numbers of the entries that match, oldest first."""
    async with store.read() as conn:
        found = await audit_rows.find(conn, Filter(**wanted), after=None, limit=100, newest_first=False)
    return [entry.number for entry, _ in found]


async def test_an_empty_log_is_right(store: Store) -> None:
    """Nothing was written, nothing is missing."""
    assert await verify(store) == Verdict(ok=True, first=0, last=0, head="0:", problem=None)


async def test_an_untouched_log_is_right(store: Store) -> None:
    """What was written comes back as it was hashed, over more than one chunk."""

    async def put(tx: Transaction) -> None:
        for number in range(1_200):
            tx.audit(
                _ADA, "thing.do", f"thing_{number}", {"n": number, "f": 0.1, "deep": {"ä": [None, True]}}
            )

    await store.writer.submit(Do(), put)
    found = await verify(store)
    assert (found.ok, found.first, found.last) == (True, 1, 1_200)
    assert parse_head(found.head).number == 1_200


async def test_a_change_that_fails_leaves_no_entry(store: Store) -> None:
    """Entry and change are one transaction: neither is there without the other."""

    async def fail(tx: Transaction) -> None:
        tx.audit(_ADA, "thing.do", "thing")
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.writer.submit(Do(), fail)
    await write(store, 1)
    assert await numbers(store) == [1]
    assert (await verify(store)).ok


async def test_whatever_is_done_to_the_log_is_found(store: Store) -> None:
    """Verification names the first entry that is not right."""
    await write(store, 5)
    await tamper(store, "CREATE TABLE kept_audit AS SELECT * FROM audit")
    await tamper(store, "CREATE TABLE kept_meta AS SELECT * FROM meta")
    found = {}
    for statement, _ in _FORGERIES:
        await tamper(store, statement)
        verdict = await verify(store)
        found[statement] = verdict.problem and verdict.problem.number
        assert verdict.ok is False, statement
        for table in ("audit", "meta"):
            await tamper(store, f"DELETE FROM {table}")  # noqa: S608 - two names of our own
            await tamper(store, f"INSERT INTO {table} SELECT * FROM kept_{table}")  # noqa: S608 - likewise
        assert (await verify(store)).ok
    assert found == dict(_FORGERIES)


async def test_an_entry_cut_off_with_its_head_is_told_by_a_noted_head(store: Store) -> None:
    """Who can write the whole database can make it look right: only what was noted elsewhere tells."""
    await write(store, 5)
    noted = parse_head((await verify(store)).head)
    await tamper(store, "DELETE FROM audit WHERE number = 5")
    async with store.read() as conn:
        row = (await conn.execute(text("SELECT hash FROM audit WHERE number = 4"))).scalar_one()
    await tamper(
        store, "UPDATE meta SET value = :head WHERE key = 'audit_head'", head=f"4:{bytes(row).hex()}"
    )
    assert (await verify(store)).ok
    walk = Walk(FIRST)
    async with store.read() as conn:
        for each in await audit_rows.read_after(conn, 0, 10):
            assert walk.take(each.number, each.entry, each.hash) is None
    problem = walk.end(noted)
    assert problem is not None
    assert problem.number == 5


async def test_entries_are_found_by_who_what_and_when(store: Store, clock: TurnedClock) -> None:
    """Each filter narrows; together they narrow more. A noun stands for all its verbs, no other noun's."""
    await write(store, 2)
    await clock.advance(10)
    await write(store, 1, by=CENTER, action="thing_else.do", subject="other")
    await clock.advance(10)
    await write(store, 1, action="thing.undo", subject="other")
    assert await numbers(store, actor="ada") == await numbers(store, actor="user_1") == [1, 2, 4]
    assert await numbers(store, subject="other") == [3, 4]
    assert await numbers(store, action="thing") == [1, 2, 4]
    assert await numbers(store, action="thing.undo") == [4]
    assert await numbers(store, action="THING") == []
    assert await numbers(store, since=_NOW + 10) == [3, 4]
    assert await numbers(store, until=_NOW + 10) == [1, 2]
    assert await numbers(store, actor="ada", subject="other") == [4]


@pytest.mark.parametrize("newest_first", [True, False])
async def test_pages_follow_each_other(store: Store, *, newest_first: bool) -> None:
    """Every entry is on one page, in order, in both directions; the last page names none after it."""
    await write(store, 7)
    service = AuditService(store)
    seen: list[int] = []
    after: int | None = None
    for _ in range(3):
        page = await service.find(Filter(), after=after, limit=3, newest_first=newest_first)
        seen += [entry.number for entry in page.entries]
        after = page.next
    assert after is None
    assert seen == sorted(range(1, 8), reverse=newest_first)


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE audit SET actor_kind = 'ghost' WHERE number = 3",
        "UPDATE audit SET data = 'no json' WHERE number = 3",
    ],
)
async def test_a_list_with_an_entry_that_can_not_be_read_says_so(store: Store, forgery: str) -> None:
    """Nobody is shown an entry that is none; the reader is told to verify the log."""
    await write(store, 5)
    await tamper(store, forgery)
    with pytest.raises(Unavailable, match="verify"):
        await AuditService(store).find(Filter(), after=None, limit=10, newest_first=True)


async def test_an_export_verifies_by_itself(store: Store) -> None:
    """Each line has its own hash and the one before: whoever has the export needs no center to check it."""
    await write(store, 5)
    service = AuditService(store)
    head = await service.head()
    await write(store, 1)
    pieces = b"".join([piece async for piece in service.export(head)])
    lines = [msgspec.json.decode(line, type=Line) for line in pieces.splitlines()]
    assert [line.number for line in lines] == [1, 2, 3, 4, 5]
    walk = Walk(FIRST)
    for line in lines:
        assert line.previous == walk.last.hash.hex()
        assert walk.take(line.number, line.entry, bytes.fromhex(line.hash)) is None
    assert walk.end(head) is None


async def test_an_export_of_a_broken_log_breaks_off(store: Store) -> None:
    """It says where, and never hands out less than everything as if it were whole."""
    await write(store, 5)
    await tamper(store, "DELETE FROM audit WHERE number = 3")
    service = AuditService(store)
    with pytest.raises(Unavailable) as caught:
        async for _ in service.export(await service.head()):
            pass
    assert caught.value.fields["number"] == 2


async def _forget(_keys: object) -> None:
    return


async def test_what_is_a_year_old_goes_and_the_rest_still_verifies(store: Store, clock: TurnedClock) -> None:
    """The removal is itself an entry; it waits until a day's worth is due, and then takes all of it."""
    retention = Retention(store, clock, keep=Keep(), forget_blobs=_forget, chunk=3)
    await write(store, 7)
    await clock.advance(_DAY / 2)
    await write(store, 1)
    await clock.advance(364.75 * _DAY)
    await write(store, 2)
    assert (await retention.run()).audit == 0
    await clock.advance(_DAY)
    assert (await retention.run()).audit == 8
    found = await verify(store)
    assert found.ok
    assert found.first == 9
    assert await numbers(store, action="audit.remove") == [11, 12, 13]
    async with store.read() as conn:
        told = await audit_rows.find(
            conn, Filter(action="audit.remove"), after=None, limit=9, newest_first=False
        )
    assert [(entry.data["count"], entry.data["last"]) for entry, _ in told] == [(3, 3), (3, 6), (2, 8)]
    service = AuditService(store)
    pieces = b"".join([piece async for piece in service.export(await service.head())])
    assert msgspec.json.decode(pieces.splitlines()[0], type=Line).number == 9


async def test_a_wrong_clock_is_not_in_the_way_of_removal(store: Store, clock: TurnedClock) -> None:
    """An entry from the far future goes with what is old around it."""
    await write(store, 2)
    await tamper(store, "UPDATE audit SET time = time + 99999999999 WHERE number = 1")
    retention = Retention(store, clock, keep=Keep(), forget_blobs=_forget)
    await clock.advance(400 * _DAY)
    assert (await retention.run()).audit == 2


async def test_old_entries_do_not_go_in_silence(store: Store) -> None:
    """Rows removed at the old end together with a moved anchor are found: no entry tells of the removal."""
    await write(store, 5)
    async with store.read() as conn:
        digest = (await conn.execute(text("SELECT hash FROM audit WHERE number = 2"))).scalar_one()
    await tamper(store, "DELETE FROM audit WHERE number <= 2")
    await tamper(store, "INSERT INTO meta VALUES ('audit_anchor', :head)", head=f"2:{bytes(digest).hex()}")
    found = await verify(store)
    assert found.problem is not None
    assert found.problem.number == 2


@pytest.mark.system
async def test_two_centers_on_one_database_write_one_chain(postgres_url: str, tmp_path: Path) -> None:
    """Writers that never wait for each other's answers still chain each entry to the one before it."""
    stores = [
        await open_store(postgres_url, home=tmp_path / str(number), clock=HurriedClock()) for number in (1, 2)
    ]
    try:
        async with served(*(store.writer for store in stores)), asyncio.TaskGroup() as tasks:
            for number, store in enumerate(stores):
                for _ in range(4):
                    tasks.create_task(write(store, 25, subject=f"store {number}"))
        found = await verify(stores[0])
        assert (found.ok, found.last) == (True, 200)
        assert len(await numbers(stores[1], subject="store 0")) == 100
    finally:
        for store in stores:
            await store.close()


async def test_a_walk_reads_a_bounded_part_at_a_time(store: Store) -> None:
    """The chunks that a walk asks for are of a fixed size, however long the log is."""

    async def put(tx: Transaction) -> None:
        for number in range(700):
            tx.audit(_ADA, "thing.do", f"thing_{number}")

    await store.writer.submit(Do(), put)
    service = AuditService(store)
    sizes = [piece.count(b"\n") async for piece in service.export(await service.head())]
    assert sizes == [500, 200]
