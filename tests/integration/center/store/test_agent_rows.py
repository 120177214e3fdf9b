"""An agent's rows: its tags as one text, and details that are written only when they change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.center.fleet.link_writes import OPEN_LINKS, Arrival
from outrider.center.fleet.tag_rows import as_tags, replace_tags, take_host_writes
from outrider.center.store.connection import SteppedConnection, step
from outrider.center.store.engine import Store
from outrider.center.store.schema import agent_details, agent_tags, agents, metadata
from outrider.center.store.writer import Transaction
from outrider.domain.identity import Identity
from outrider.domain.ids import AgentId, DeviceId
from outrider.domain.tags import parse_tags
from outrider.protocol.messages import Facts, TagWrite
from tests.integration.center.store.parts import Do, an_agent, its_details

_ID = AgentId("agent_00000000000000000001")
_words = st.sampled_from(["web", "db", "Web", "a.b"])
_pairs = st.builds("{}={}".format, st.sampled_from(["SITE", "RACK"]), st.sampled_from(["", "x", "x=y", "é"]))
_center_says = st.lists(_words | _pairs, max_size=5).map(lambda tags: (replace_tags, parse_tags(tags)))
_names = st.sampled_from(["SITE", "RACK", "A\nweb", "web", "WEB\x00", "\n", ""])
_values = st.sampled_from([None, "", "x", "x=y", "é", "x\nweb", "\x00"])
_writes = st.builds(TagWrite, _names, _values, st.integers(0, 2000), st.integers(0, 9))
_host_says = st.lists(_writes, max_size=5).map(lambda writes: (take_host_writes, tuple(writes)))


@contextmanager
def _memory() -> Iterator[SteppedConnection]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    metadata.create_all(engine)
    try:
        with engine.connect() as conn:
            yield SteppedConnection(conn)
    finally:
        engine.dispose()


async def _check_text(tx: Transaction) -> None:
    rows = await tx.conn.execute(
        sa.select(agent_tags.c.is_pair, agent_tags.c.name, agent_tags.c.value).where(
            agent_tags.c.agent_id == _ID
        )
    )
    kept = sorted((bool(pair), name, value) for pair, name, value in rows)
    text = (await tx.conn.execute(sa.select(agents.c.tags).where(agents.c.id == _ID))).scalar_one()
    assert as_tags(text) == [f"{name}={value}" if pair else name for pair, name, value in kept]


@given(st.lists(_center_says | _host_says, max_size=8))
@settings(deadline=None)
def test_the_text_says_what_the_rows_say(said: list[Any]) -> None:
    """Whoever sets tags, and whatever a host puts into them: words, then pairs, each by name."""

    async def tell(conn: SteppedConnection) -> None:
        tx = Transaction(conn, 1.0)
        await conn.execute(sa.insert(agents).values(an_agent(_ID)))
        for write, tags in said:
            await write(tx, _ID, tags)
            await _check_text(tx)

    with _memory() as conn:
        step(tell(conn))


async def test_a_line_end_in_a_hosts_tag_is_not_taken(store: Store) -> None:
    """It would pass for another tag, which a host can't give itself."""

    async def tell(tx: Transaction) -> str:
        await tx.conn.execute(sa.insert(agents).values(an_agent(_ID)))
        said = [("SITE", "x1"), ("RACK", "4\nweb"), ("A\nweb\nB", "1")]
        writes = [TagWrite(name, value, 1, number) for number, (name, value) in enumerate(said)]
        await take_host_writes(tx, _ID, writes)
        await _check_text(tx)
        return str((await tx.conn.execute(sa.select(agents.c.tags))).scalar_one())

    assert as_tags(await store.writer.submit(Do(), tell)) == ["SITE=x1"]


def _arrival(**changed: Any) -> Arrival:
    facts = Facts(hostname=changed.pop("hostname", "one"), os="Debian", cpus=changed.pop("cpus", 2))
    identity = Identity(
        agent_id=_ID,
        device_id=DeviceId("d"),
        incarnation="spool",
        generation=1,
        start=changed.pop("start", "first"),
        earlier_starts=("first",),
        boot="boot",
        machine="m",
    )
    arrival = Arrival(
        identity=identity,
        facts=facts,
        held=(),
        address="10.0.0.1",
        replica="center",
        center_restored=False,
        clock_offset=0.0,
    )
    return msgspec.structs.replace(arrival, **changed)


def test_who_comes_back_as_before_costs_no_details() -> None:
    """Facts and identity are written when they differ, and only then."""
    written = "SELECT count(*) FROM changes"

    async def come(conn: SteppedConnection) -> list[int]:
        await conn.execute(sa.insert(agents).values(an_agent(_ID)))
        await conn.execute(sa.insert(agent_details).values(its_details(_ID)))
        await conn.exec_driver_sql("CREATE TEMP TABLE changes (at)")
        await conn.exec_driver_sql(
            "CREATE TEMP TRIGGER noted AFTER UPDATE ON agent_details"
            " BEGIN INSERT INTO changes VALUES (1); END"
        )
        counts = []
        for arrival in (
            _arrival(),
            _arrival(),
            _arrival(address="10.0.0.2"),
            _arrival(cpus=4),
            _arrival(cpus=4, start="second"),
            _arrival(cpus=4, start="second"),
        ):
            await OPEN_LINKS.apply(Transaction(conn, 1.0), [arrival])
            counts.append(conn.fetch_all(written, ())[0][0])
        kept = (await conn.execute(sa.select(agent_details.c.facts, agent_details.c.start))).one()
        assert (kept.facts["cpus"], kept.start) == (4, "second")
        return counts

    with _memory() as conn:
        assert step(come(conn)) == [1, 1, 1, 2, 3, 3]


async def test_changed_details_are_written_on_each_database(store: Store) -> None:
    """A new process with new facts is what the next arrival is held to."""

    async def come(tx: Transaction) -> list[Any]:
        await tx.conn.execute(sa.insert(agents).values(an_agent(_ID)))
        await tx.conn.execute(sa.insert(agent_details).values(its_details(_ID)))
        for arrival in (_arrival(), _arrival(cpus=4, start="second", hostname="two")):
            await OPEN_LINKS.apply(tx, [arrival])
        query = sa.select(agents.c.hostname, agent_details.c.facts, agent_details.c.start)
        return list((await tx.conn.execute(query.join(agent_details))).one())

    hostname, facts, start = await store.writer.submit(Do(), come)
    assert (hostname, facts["cpus"], start) == ("two", 4, "second")
