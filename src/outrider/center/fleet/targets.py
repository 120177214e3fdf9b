"""Targets in the database: an expression becomes one condition on agents (docs/decisions/0008, 0020).

A walk through all agents takes some milliseconds: what is here is for `Store.trip`.

Both databases give the same answer, that of `outrider.domain.targets.matching`. A regular expression is held
against the distinct values of its tag first, here, so that the databases' own dialects do not matter.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.patterns import PatternRefused, fitting
from outrider.center.fleet.rows import APPROVED, AgentRow, agents_where, has_status, has_tag, is_there
from outrider.center.store.connection import Connection, SteppedConnection
from outrider.center.store.pieces import Piece, all_of, any_of, clause_of, fetch, joined, no
from outrider.domain.connection_states import HostStatus, status_of
from outrider.domain.ids import AgentId
from outrider.domain.targets.errors import EmptyTarget, InvalidTarget
from outrider.domain.targets.expression import (
    And,
    Everyone,
    Expression,
    Id,
    InGroup,
    Name,
    NameGlob,
    Not,
    Or,
    Os,
    Standing,
    Tagged,
    TagPattern,
    Term,
    asks_for_unapproved,
    terms,
    write_term,
)
from outrider.domain.targets.globs import Glob, fold, has_sets, parse_glob, to_like, to_posix, to_sqlite
from outrider.domain.targets.matching import os_glob
from outrider.domain.targets.parser import parse

_EXPLAINED: Final = 50
"""How many terms are looked at one by one to say which of them nobody fits."""
_SHALLOW: Final = 8
"""How deeply an expression may be nested to be written in the order that a person chose."""
_OF_APPROVED: Final = (HostStatus.ONLINE, HostStatus.OFFLINE)
_EVERYBODY: Final = Piece("TRUE")
_NOBODY: Final = Piece("FALSE")
_NAMES: Final = ("label", "hostname")
_SAME_AGENT: Final = "SELECT 1 FROM agents AS meant WHERE meant.id = agents.id"
_VALUES: Final = "SELECT DISTINCT value FROM agent_tags WHERE name = ? AND is_pair"
_WITH_VALUES: Final = "id IN (SELECT agent_id FROM agent_tags WHERE name = ? AND is_pair AND {})"
_MEMBERS: Final = (
    "id IN (SELECT agent_id FROM group_members JOIN groups ON groups.id = group_members.group_id"
    " WHERE groups.name = ?)"
)


def _fits_in_sqlite(column: str, glob: Glob) -> Piece:
    return Piece(f"{column} GLOB ?", (to_sqlite(glob),))


def _fits_in_postgres(column: str, glob: Glob) -> Piece:
    folded = _POSTGRES.folded.format(column)
    like = Piece(f"{folded} LIKE ? ESCAPE '/'", (to_like(glob),))
    if not has_sets(glob):
        return like
    # A regular expression takes ten times as long: only for those that may fit.
    return all_of([like, Piece(f"{folded} ~ ?", (to_posix(glob),))])


class _Words(msgspec.Struct, frozen=True):
    """What the two databases write differently; `{}` is for a column.

    Both fold ASCII letters alone: PostgreSQL would fold by the language of its database.
    """

    folded: str
    fits: Callable[[str, Glob], Piece]
    one_of: str
    all_ids: str


_SQLITE: Final = _Words(
    folded="{} COLLATE NOCASE",
    fits=_fits_in_sqlite,
    one_of="IN (SELECT value FROM json_each(?))",
    all_ids="SELECT json_group_array(id) FROM agents WHERE",
)
_POSTGRES: Final = _Words(
    folded='lower({} COLLATE "C")',
    fits=_fits_in_postgres,
    one_of="= ANY (?)",
    all_ids="SELECT json_agg(id)::text FROM agents WHERE",
)


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a target means: how many, by status (those that occur), and the first of them.

    `unmatched` are the terms that nobody fits; looked for only when the target as a whole means nobody.
    """

    count: int
    by_status: dict[HostStatus, int]
    first: list[AgentRow]
    unmatched: list[str]


async def piece_of(conn: Connection, text: str, *, heard_since: float) -> Piece:
    """Make the condition that an expression is, for a statement on `agents` alone. Raises `InvalidTarget`.

    `heard_since` is what counts as heard recently, in unix time.
    """
    return await _Compiler(conn, text, heard_since).condition(parse(text))


async def condition_of(conn: Connection, text: str, *, heard_since: float) -> sa.ColumnElement[bool]:
    """Make the same condition for whatever statement has `agents` in it."""
    piece = await piece_of(conn, text, heard_since=heard_since)
    # The names in it are those of the innermost table; who is asked for is found by the key.
    return clause_of(Piece(f"EXISTS ({_SAME_AGENT} AND {piece.text})", piece.values))


async def resolve(conn: Connection, target: str, *, heard_since: float) -> list[AgentId]:
    """List the approved agents that a target means, in the order they enrolled.

    Raises `InvalidTarget`, and `EmptyTarget` when there is none: a target never means everyone by accident.
    """
    expression = parse(target)
    compiler = _Compiler(conn, target, heard_since)
    ids = await compiler.ids(all_of([APPROVED, await compiler.condition(expression)]))
    if not ids:
        raise await _empty(compiler, expression, target)
    return ids


async def reach_of(conn: Connection, target: str, *, limit: int, heard_since: float) -> Reach:
    """Say whom a target means, with the first `limit` of them in the order they enrolled.

    These are the hosts that a dispatch would go to; those that are pending or declined too only when the
    target asks for them by their status. Raises `InvalidTarget`.
    """
    expression = parse(target)
    compiler = _Compiler(conn, target, heard_since)
    among = tuple(HostStatus) if asks_for_unapproved(expression) else _OF_APPROVED
    meant = await compiler.condition(expression)
    wanted = all_of([APPROVED, meant]) if among is _OF_APPROVED else meant
    found = await agents_where(conn, wanted, limit + 1)
    # The agents are read once: these are all of them, or they were found early and only the counts take long.
    counts = (
        await _counts(conn, wanted, among, heard_since)
        if len(found) > limit
        else Counter(_status_of(row, heard_since) for row in found)
    )
    return Reach(
        count=counts.total(),
        by_status={status: count for status, count in counts.items() if count},
        first=found[:limit],
        unmatched=[] if found else await compiler.unmatched(expression, among),
    )


async def _counts(
    conn: Connection, wanted: Piece, among: Sequence[HostStatus], heard_since: float
) -> Counter[HostStatus]:
    """Count by status: not by GROUP BY, which would sort all agents. Who has no other status is offline."""
    asked = {status: has_status(status, heard_since) for status in among if status is not HostStatus.OFFLINE}
    if among is _OF_APPROVED:
        # Nobody else is wanted, and need not be asked for it again.
        asked = {HostStatus.ONLINE: is_there(heard_since)}
    sums = [Piece(f"count(*) FILTER (WHERE {each.text})", each.values) for each in asked.values()]
    columns = joined(", ", [Piece("count(*)"), *sums])
    ((everybody, *counted),) = await fetch(conn, Piece("SELECT"), columns, Piece("FROM agents WHERE"), wanted)
    counts = Counter(dict(zip(asked, counted, strict=True)))
    counts[HostStatus.OFFLINE] = everybody - counts.total()
    return counts


def _status_of(row: AgentRow, heard_since: float) -> HostStatus:
    there = row.linked is not None or row.last_seen >= heard_since
    return status_of(row.approval, link_open=there, heard_recently=there)


async def _empty(compiler: "_Compiler", expression: Expression, target: str) -> EmptyTarget:
    unmatched = await compiler.unmatched(expression, _OF_APPROVED)
    named = ", ".join(f"`{each[:80]}`" for each in unmatched[:5])
    more = ", ..." if len(unmatched) > len(unmatched[:5]) else ""
    why = (
        f"nobody fits {named}{more}"
        if unmatched
        else "each of its terms fits somebody, but nobody fits all that is asked"
    )
    return EmptyTarget(
        f"No approved host fits the target: {why}. Look with `POST /api/targets/preview`.",
        target=target[:1000],
        unmatched=unmatched,
    )


def _deepest_first(expression: Expression) -> tuple[int, Expression]:
    """Say how deeply an expression is nested, and write the same with what is nested most deeply first."""
    match expression:
        case Not(operand):
            depth, inner = _deepest_first(operand)
            return depth + 1, Not(inner)
        case And(operands) | Or(operands):
            inside = sorted(map(_deepest_first, operands), key=itemgetter(0), reverse=True)
            return inside[0][0] + 1, type(expression)(tuple([each for _, each in inside]))
        case term:
            return 0, term


class _Compiler:
    def __init__(self, conn: Connection, text: str, heard_since: float) -> None:
        self._conn = conn
        self._text = text
        self._heard_since = heard_since
        self._words = _POSTGRES if conn.dialect.name == "postgresql" else _SQLITE

    async def condition(self, expression: Expression) -> Piece:
        # SQLite's parser keeps a hundred things that stand before what is nested, and reads no more of them.
        depth, reordered = _deepest_first(expression)
        return await self._condition(reordered if depth > _SHALLOW else expression)

    async def _condition(self, expression: Expression) -> Piece:
        match expression:
            case Not(operand):
                return no(await self._condition(operand))
            case And(operands):
                return all_of([await self._condition(each) for each in operands])
            case Or(operands):
                return await self._any(operands)
            case TagPattern(name, pattern):
                return await self._pattern(name, pattern)
            case term:
                return self._term(term)

    async def ids(self, wanted: Piece) -> list[AgentId]:
        """List ids as one value: thousands of rows of a statement cost more than finding them."""
        found = await fetch(self._conn, Piece(self._words.all_ids), wanted)
        return sorted(msgspec.json.decode(found[0][0] or "[]", type=list[AgentId]))

    async def unmatched(self, expression: Expression, among: Sequence[HostStatus]) -> list[str]:
        """Write the terms that fit nobody, of an expression that fits nobody."""
        if not isinstance(expression, Not | And | Or):
            return [write_term(expression)]
        approved = [APPROVED] if among is _OF_APPROVED else []
        unmatched = []
        for term in terms(expression)[:_EXPLAINED]:
            wanted = all_of([*approved, await self.condition(term)])
            if not await fetch(self._conn, Piece("SELECT 1 FROM agents WHERE"), wanted, Piece("LIMIT 1")):
                unmatched.append(write_term(term))
        return unmatched

    async def _any(self, operands: Sequence[Expression]) -> Piece:
        """Join with OR; ids and names, which may be thousands, become one list each."""
        ids = [each.agent_id for each in operands if isinstance(each, Id)]
        names = [fold(each.text) for each in operands if isinstance(each, Name)]
        conditions = [await self._condition(each) for each in operands if not isinstance(each, Id | Name)]
        if ids:
            conditions.append(self._one_of("id", ids))
        if names:
            conditions += [self._one_of(self._folded(column), names) for column in _NAMES]
        return any_of(conditions)

    def _term(self, term: Term) -> Piece:  # noqa: PLR0911 (one for each kind)
        match term:
            case Everyone():
                return _EVERYBODY
            case Id(agent_id):
                return Piece("id = ?", (agent_id,))
            case Name(text):
                return any_of([self._is(column, text) for column in _NAMES])
            case NameGlob(glob):
                parts = parse_glob(glob)
                return any_of([self._words.fits(column, parts) for column in _NAMES])
            case Tagged(tag):
                return has_tag(tag, self._conn.dialect.name)
            case InGroup(name):
                return Piece(_MEMBERS, (name,))
            case Os(text):
                whole = [self._is(column, text) for column in ("os_family", "os")]
                return any_of([*whole, self._words.fits("os", os_glob(text))])
            case Standing(status):
                return has_status(status, self._heard_since)
            case TagPattern():
                raise AssertionError("patterns are looked up first")

    async def _pattern(self, name: str, pattern: str) -> Piece:
        found = await fetch(self._conn, Piece(_VALUES, (name,)))
        try:
            wanted = await self._fitting(pattern, [row[0] for row in found])
        except PatternRefused as error:
            raise InvalidTarget(
                f"The pattern is not a regular expression: {error}.",
                self._text,
                position=max(self._text.find(pattern), 0),
                length=len(pattern),
                expected=("a pattern",),
            ) from None
        if not wanted:
            return _NOBODY
        values = self._one_of("value", wanted)
        return Piece(_WITH_VALUES.format(values.text), (name, *values.values))

    async def _fitting(self, pattern: str, values: Sequence[str]) -> list[str]:
        if isinstance(self._conn, SteppedConnection):
            # In a thread already, where nothing but the connection may be waited for.
            return fitting(pattern, values)
        return await asyncio.to_thread(fitting, pattern, values)

    def _folded(self, column: str) -> str:
        return self._words.folded.format(column)

    def _is(self, column: str, text: str) -> Piece:
        return Piece(f"{self._folded(column)} = ?", (fold(text),))

    def _one_of(self, column: str, values: Sequence[str]) -> Piece:
        """Give values as one parameter: databases limit how many of those there are."""
        listed = values if self._words is _POSTGRES else msgspec.json.encode(values).decode()
        return Piece(f"{column} {self._words.one_of}", (listed,))
