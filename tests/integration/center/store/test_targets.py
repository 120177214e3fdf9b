"""Target expressions in the database: the same answer as the reference, on both databases."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.center.fleet import targets
from outrider.center.fleet.rows import agents_where
from outrider.center.fleet.tag_rows import as_text
from outrider.center.store.connection import Connection, SteppedConnection, step
from outrider.center.store.engine import Store
from outrider.center.store.schema import agent_tags, agents, group_members, groups, metadata
from outrider.center.store.writer import Transaction
from outrider.domain.connection_states import HostStatus
from outrider.domain.ids import AgentId
from outrider.domain.targets.errors import EmptyTarget, InvalidTarget
from outrider.domain.targets.expression import Expression, asks_for_unapproved, write
from outrider.domain.targets.grammar import MAX_DEPTH, MAX_PARTS, MAX_TERMS
from outrider.domain.targets.matching import Host, matches
from outrider.domain.targets.parser import MAX_LENGTH
from tests.fixtures.targets import expressions, fits, hosts
from tests.integration.center.store.parts import Do, an_agent

_NOW = 1000.0
_HEARD_SINCE = 900.0
_APPROVED = (HostStatus.ONLINE, HostStatus.OFFLINE)


async def _fill(conn: Connection, fleet: Sequence[Host]) -> None:
    for table in (agents, groups):
        await conn.execute(sa.delete(table))
    names = sorted({name for host in fleet for name in host.groups})
    for name in names:
        await conn.execute(sa.insert(groups).values(id=f"group of {name}", name=name, created=_NOW))
    for number, host in enumerate(fleet):
        is_approved = host.status in _APPROVED
        row = an_agent(host.id) | {
            "label": host.label,
            "hostname": host.hostname,
            "os": host.os,
            "os_family": host.os_family,
            "approval": "approved" if is_approved else host.status.value,
            # Somebody online has a link or was heard; one that is not approved may be there as well.
            "linked": "center" if host.status is not HostStatus.OFFLINE and number % 2 else None,
            "last_seen": _HEARD_SINCE - 1 if host.status is HostStatus.OFFLINE else _HEARD_SINCE,
            "tags": as_text(host.tags),
        }
        await conn.execute(sa.insert(agents).values(**row))
        for tag in host.tags:
            name, equals, value = tag.partition("=")
            await conn.execute(
                sa.insert(agent_tags).values(
                    agent_id=host.id, name=name, value=value, is_pair=bool(equals), owner="center", version=1
                )
            )
        for name in host.groups:
            await conn.execute(sa.insert(group_members).values(group_id=f"group of {name}", agent_id=host.id))


async def _found(conn: Connection, text: str) -> list[AgentId]:
    try:
        return await targets.resolve(conn, text, heard_since=_HEARD_SINCE)
    except EmptyTarget:
        return []


async def _check(conn: Connection, fleet: Sequence[Host], expression: Expression) -> None:
    text = write(expression)
    meant = sorted(host.id for host in fleet if matches(expression, host, fits))
    approved = {host.id for host in fleet if host.status in _APPROVED}
    assert await _found(conn, text) == [each for each in meant if each in approved]

    piece = await targets.piece_of(conn, text, heard_since=_HEARD_SINCE)
    assert [row.id for row in await agents_where(conn, piece, len(fleet) + 1)] == meant
    condition = await targets.condition_of(conn, text, heard_since=_HEARD_SINCE)
    # Beside a table that has columns of the same names.
    members = sa.select(agents.c.id).outerjoin(groups, groups.c.name == agents.c.label)
    rows = await conn.execute(members.where(condition).order_by(agents.c.id))
    assert list(rows.scalars()) == meant

    reach = await targets.reach_of(conn, text, limit=3, heard_since=_HEARD_SINCE)
    wanted = meant if asks_for_unapproved(expression) else [each for each in meant if each in approved]
    assert reach.count == len(wanted)
    assert [row.id for row in reach.first] == wanted[:3]
    by_id = {host.id: host.status for host in fleet}
    statuses = [by_id[each] for each in wanted]
    assert reach.by_status == {status: statuses.count(status) for status in set(statuses)}


@contextmanager
def _memory() -> Iterator[SteppedConnection]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    metadata.create_all(engine)
    try:
        with engine.connect() as conn:
            yield SteppedConnection(conn)
    finally:
        engine.dispose()


@given(hosts(), st.lists(expressions(), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_sqlite_means_what_the_reference_means(fleet: list[Host], wanted: list[Expression]) -> None:
    """Random fleets, random expressions: the same hosts, in the order they enrolled."""

    async def check(conn: Connection) -> None:
        await _fill(conn, fleet)
        for expression in wanted:
            await _check(conn, fleet, expression)

    with _memory() as conn:
        step(check(conn))


_LARGEST = [
    " and ".join(["all"] * (MAX_TERMS - 1)),
    " and ".join(["web*"] * MAX_TERMS),
    " and ".join(["web"] * (MAX_PARTS - 1)),
    " or ".join(["not web"] * ((MAX_PARTS - 1) // 2)),
    "not (" * (MAX_DEPTH // 2) + " or ".join(["web and db"] * 70) + ")" * (MAX_DEPTH // 2),
    ",".join(["web"] * (MAX_LENGTH // 4)),
    "tag:a and not (b* or (" * (MAX_DEPTH // 3) + "c" + "))" * (MAX_DEPTH // 3),
    "".join(f"a{n},b{n},os:c and (" for n in range(MAX_DEPTH)) + "c" + ")" * MAX_DEPTH,
    "(" * (MAX_DEPTH - 1) + "a" + "".join(f" or not b{n})" for n in range(MAX_DEPTH - 1)),
]


@pytest.mark.parametrize("text", _LARGEST, ids=[each[:16] for each in _LARGEST])
async def test_a_database_takes_the_largest_targets(text: str, store: Store) -> None:
    """Whatever the parser lets through, both databases answer: none of their own limits is met."""
    async with store.read() as conn:
        await targets.reach_of(conn, text, limit=1, heard_since=_HEARD_SINCE)


@given(hosts(), st.lists(expressions(), min_size=5, max_size=20))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_each_database_means_what_the_reference_means(
    store: Store, fleet: list[Host], wanted: list[Expression]
) -> None:
    """The same over the store, on each database."""

    async def fill(tx: Transaction) -> None:
        await _fill(tx.conn, fleet)

    await store.writer.submit(Do(), fill)
    async with store.read() as conn:
        for expression in wanted:
            await _check(conn, fleet, expression)


async def _one_fleet(store: Store) -> None:
    fleet = [
        Host(id=AgentId("agent_00000000000000000001"), label="web-1", tags=frozenset({"web", "SITE=x1"})),
        Host(id=AgentId("agent_00000000000000000002"), label="db-1", tags=frozenset({"db"})),
        Host(
            id=AgentId("agent_00000000000000000003"),
            label="new",
            status=HostStatus.PENDING,
            tags=frozenset({"fresh"}),
        ),
    ]

    async def fill(tx: Transaction) -> None:
        await _fill(tx.conn, fleet)

    await store.writer.submit(Do(), fill)


@pytest.mark.parametrize(
    ("text", "unmatched", "says"),
    [
        ("tag:wbe", ["tag:wbe"], "nobody fits `tag:wbe`"),
        ("web-1 and (group:blue or nosuch)", ["group:blue", "nosuch"], "`group:blue`, `nosuch`"),
        ("tag:web and tag:db", [], "all that is asked"),
        ("tag:fresh", ["tag:fresh"], "No approved host"),
        ("status:pending", ["status:pending"], "No approved host"),
        ("not all", [], "all that is asked"),
        ("agent_00000000000000000009", ["agent_00000000000000000009"], "nobody fits"),
        ("tag:SITE=^y.*$", ["tag:SITE=^y.*$"], "nobody fits"),
    ],
)
async def test_a_target_that_means_nobody_is_an_error(
    store: Store, text: str, unmatched: list[str], says: str
) -> None:
    """Never everyone: the error names the terms that nobody fits."""
    await _one_fleet(store)
    async with store.read() as conn:
        with pytest.raises(EmptyTarget) as caught:
            await targets.resolve(conn, text, heard_since=_HEARD_SINCE)
    assert caught.value.fields["unmatched"] == unmatched
    assert says in caught.value.detail


@pytest.mark.parametrize("pattern", ["^($", "^a**$", r"^\1$", "^(?=a)a$", "^((a{1000}){1000}){1000}$"])
async def test_a_pattern_that_is_none_is_pointed_at(store: Store, pattern: str) -> None:
    """What RE2 does not take is an error of the target, with its place."""
    text = f"all and tag:SITE={pattern}"
    async with store.read() as conn:
        with pytest.raises(InvalidTarget) as caught:
            await targets.resolve(conn, text, heard_since=_HEARD_SINCE)
    assert caught.value.fields["position"] == text.index("^") or pattern == "^($"


async def test_a_nasty_pattern_takes_no_time(store: Store) -> None:
    """A pattern that hangs an engine with backtracking is answered like any other."""
    value = "a" * 200 + "b"
    host = Host(id=AgentId("agent_00000000000000000001"), tags=frozenset({f"SITE={value}"}))

    async def fill(tx: Transaction) -> None:
        await _fill(tx.conn, [host])

    await store.writer.submit(Do(), fill)
    async with store.read() as conn:
        assert await _found(conn, "tag:SITE=^(a|aa)+$") == []
        assert await _found(conn, "tag:SITE=^(a*)*b$") == [host.id]


async def test_thousands_of_ids_are_one_target(store: Store) -> None:
    """Ids that a person has picked in a list are taken as they come."""
    await _one_fleet(store)
    ids = [f"agent_{number:020}" for number in range(2300)]
    async with store.read() as conn:
        found = await targets.resolve(conn, ",".join(ids), heard_since=_HEARD_SINCE)
        names = await targets.resolve(
            conn, ",".join(f"h{n}" for n in range(5000)) + ",WEB-1", heard_since=0.0
        )
    assert found == ids[1:3]
    assert names == ids[1:2]


async def test_as_many_terms_as_are_taken_can_be_evaluated(store: Store) -> None:
    """The databases' own limits on expressions are further out than ours."""
    await _one_fleet(store)
    chain = " or ".join(f"(tag:A=x{number} and not os:x)" for number in range(MAX_TERMS // 2 - 1))
    deep = "not (" * 16 + "tag:web or web-*" + ")" * 16
    async with store.read() as conn:
        assert await _found(conn, f"{chain} or tag:web") == ["agent_00000000000000000001"]
        assert await _found(conn, deep) == ["agent_00000000000000000001"]
