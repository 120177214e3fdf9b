"""Targets in the database: an expression becomes one condition on agents.

Both databases give the same answer, that of `outrider.domain.targets.matching`. A regular expression is held
against the distinct values of its tag first, here, so that the databases' own dialects do not matter.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from outrider.center.fleet.patterns import PatternRefused, fitting
from outrider.center.fleet.rows import has_status, is_there
from outrider.center.store.connection import Connection
from outrider.center.store.schema import agent_tags, agents, group_members, groups
from outrider.domain.connection_states import Approval, HostStatus, status_of
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
from outrider.domain.targets.globs import Glob, fold, parse_glob, to_posix, to_sqlite
from outrider.domain.targets.matching import os_glob
from outrider.domain.targets.parser import parse

Condition = sa.ColumnElement[bool]

_EXPLAINED: Final = 50
"""How many terms are looked at one by one to say which of them nobody fits."""
_AT_ONCE: Final = 500
"""How many values of a tag a pattern is held against on the event loop: about a millisecond's work."""
_APPROVED: Final = agents.c.approval == Approval.APPROVED.value
_NOT_UNAPPROVED: Final = agents.c.approval.not_in((Approval.PENDING.value, Approval.DECLINED.value))
"""As `_APPROVED`, without its index: most are approved, and passing over the others costs less."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a target means: how many, by status (those that occur), and the first of them.

    `unmatched` are the terms that nobody fits; looked for only when the target as a whole means nobody.
    """

    count: int
    by_status: dict[HostStatus, int]
    first: list[AgentId]
    unmatched: list[str]


async def condition_of(conn: Connection, text: str, *, heard_since: float) -> Condition:
    """Make the condition that an expression is. Raises `InvalidTarget`.

    `heard_since` is what counts as heard recently, in unix time.
    """
    return await _Compiler(conn, text, heard_since).condition(parse(text))


async def resolve(conn: Connection, target: str, *, heard_since: float) -> list[AgentId]:
    """List the approved agents that a target means, in the order they enrolled.

    Raises `InvalidTarget`, and `EmptyTarget` when there is none: a target never means everyone by accident.
    """
    expression = parse(target)
    compiler = _Compiler(conn, target, heard_since)
    wanted = await compiler.condition(expression)
    found = await conn.execute(sa.select(agents.c.id).where(_APPROVED, wanted).order_by(agents.c.id))
    ids = [AgentId(each) for each in found.scalars()]
    if not ids:
        raise await _empty(compiler, expression, target)
    return ids


async def reach_of(conn: Connection, target: str, *, limit: int, heard_since: float) -> Reach:
    """Say whom a target means, with the first `limit` ids in the order they enrolled. Raises `InvalidTarget`.

    These are the hosts that a dispatch would go to; those that are pending or declined too only when the
    target asks for them by their status.
    """
    expression = parse(target)
    compiler = _Compiler(conn, target, heard_since)
    among = sa.true() if asks_for_unapproved(expression) else _NOT_UNAPPROVED
    wanted = sa.and_(among, await compiler.condition(expression))
    first = (
        sa.select(agents.c.id, agents.c.approval, _there(heard_since))
        .where(wanted)
        .order_by(agents.c.id)
        .limit(limit + 1)
    )
    found = (await conn.execute(first)).all()
    # The agents are read once: these are all of them, or they were found early and only the counts take long.
    counts = (
        await _counts(conn, wanted, heard_since)
        if len(found) > limit
        else Counter(_status_of(row.approval, there=row.there) for row in found)
    )
    return Reach(
        count=counts.total(),
        by_status={status: count for status, count in counts.items() if count},
        first=[AgentId(row.id) for row in found[:limit]],
        unmatched=[] if found else await compiler.unmatched(expression, among),
    )


async def _counts(conn: Connection, wanted: Condition, heard_since: float) -> Counter[HostStatus]:
    """Count by status with sums: a GROUP BY would sort all agents."""
    asked = {
        HostStatus.ONLINE: sa.and_(_APPROVED, is_there(heard_since)),
        HostStatus.PENDING: agents.c.approval == Approval.PENDING.value,
        HostStatus.DECLINED: agents.c.approval == Approval.DECLINED.value,
    }
    sums = [sa.func.sum(sa.case((each, 1), else_=0)) for each in asked.values()]
    row = (await conn.execute(sa.select(sa.func.count(), *sums).where(wanted))).one()
    counts = Counter({status: int(count or 0) for status, count in zip(asked, row[1:], strict=True)})
    counts[HostStatus.OFFLINE] = row[0] - counts.total()
    return counts


def _there(heard_since: float) -> sa.Label[bool]:
    return is_there(heard_since).label("there")


def _status_of(approval: str, *, there: bool) -> HostStatus:
    return status_of(Approval(approval), link_open=there, heard_recently=there)


async def _empty(compiler: "_Compiler", expression: Expression, target: str) -> EmptyTarget:
    unmatched = await compiler.unmatched(expression, _APPROVED)
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


class _Compiler:
    def __init__(self, conn: Connection, text: str, heard_since: float) -> None:
        self._conn = conn
        self._text = text
        self._heard_since = heard_since
        self._is_postgres = conn.dialect.name == "postgresql"

    async def condition(self, expression: Expression) -> Condition:
        match expression:
            case Not(operand):
                return sa.not_(await self.condition(operand))
            case And(operands):
                return sa.and_(*[await self.condition(each) for each in operands])
            case Or(operands):
                return await self._any(operands)
            case TagPattern(name, pattern):
                return await self._pattern(name, pattern)
            case term:
                return self._term(term)

    async def unmatched(self, expression: Expression, among: Condition) -> list[str]:
        """Write the terms that fit nobody, of an expression that fits nobody."""
        if not isinstance(expression, Not | And | Or):
            return [write_term(expression)]
        found = []
        for term in terms(expression)[:_EXPLAINED]:
            wanted = await self.condition(term)
            query = sa.select(sa.exists(sa.select(agents.c.id).where(among, wanted)))
            if not (await self._conn.execute(query)).scalar_one():
                found.append(write_term(term))
        return found

    async def _any(self, operands: Sequence[Expression]) -> Condition:
        """Join with OR; ids and names, which may be thousands, become one list each."""
        ids = [each.agent_id for each in operands if isinstance(each, Id)]
        names = [fold(each.text) for each in operands if isinstance(each, Name)]
        others = [each for each in operands if not isinstance(each, Id | Name)]
        joined = [await self.condition(each) for each in others]
        if ids:
            joined.append(agents.c.id.in_(self._listed(ids)))
        if names:
            joined += [self._folded(column).in_(self._listed(names)) for column in _NAMES]
        return sa.or_(*joined)

    def _term(self, term: Term) -> Condition:  # noqa: PLR0911 (one for each kind)
        match term:
            case Everyone():
                return sa.true()
            case Id(agent_id):
                return agents.c.id == agent_id
            case Name(text):
                return sa.or_(*(self._folded(column) == fold(text) for column in _NAMES))
            case NameGlob(glob):
                parts = parse_glob(glob)
                return sa.or_(*(self._fits(column, parts) for column in _NAMES))
            case Tagged(tag):
                name, equals, value = tag.partition("=")
                return _tagged(name, agent_tags.c.is_pair == bool(equals), agent_tags.c.value == value)
            case InGroup(name):
                members = sa.select(group_members.c.agent_id).join(groups).where(groups.c.name == name)
                return agents.c.id.in_(members)
            case Os(text):
                wanted = fold(text)
                whole = [self._folded(column) == wanted for column in (agents.c.os_family, agents.c.os)]
                return sa.or_(*whole, self._fits(agents.c.os, os_glob(text)))
            case Standing(status):
                return has_status(status, self._heard_since)
            case TagPattern():
                raise AssertionError("patterns are looked up first")

    async def _pattern(self, name: str, pattern: str) -> Condition:
        of_name = (agent_tags.c.name == name, agent_tags.c.is_pair == sa.true())
        values = sa.select(agent_tags.c.value).where(*of_name).distinct()
        known = (await self._conn.execute(values)).scalars().all()
        try:
            wanted = (
                fitting(pattern, known)
                if len(known) <= _AT_ONCE
                else await asyncio.to_thread(fitting, pattern, known)
            )
        except PatternRefused as error:
            raise InvalidTarget(
                f"The pattern is not a regular expression: {error}.",
                self._text,
                position=max(self._text.find(pattern), 0),
                length=len(pattern),
                expected=("a pattern",),
            ) from None
        if not wanted:
            return sa.false()
        return _tagged(name, agent_tags.c.is_pair == sa.true(), agent_tags.c.value.in_(self._listed(wanted)))

    # --- what the two databases write differently

    def _folded(self, column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        """Fold ASCII letters alone: PostgreSQL would fold by the language of its database."""
        return sa.func.lower(sa.collate(column, "C") if self._is_postgres else column)

    def _fits(self, column: sa.ColumnElement[str], glob: Glob) -> Condition:
        if self._is_postgres:
            return self._folded(column).regexp_match(to_posix(glob))
        return self._folded(column).op("GLOB", is_comparison=True, return_type=sa.Boolean())(to_sqlite(glob))

    def _listed(self, values: Sequence[str]) -> sa.Select[Any]:
        """Give values as the rows of one parameter: databases limit how many of those there are."""
        text = sa.literal(msgspec.json.encode(values).decode(), sa.Text)
        if self._is_postgres:
            return sa.select(sa.func.jsonb_array_elements_text(sa.cast(text, JSONB)))
        return sa.select(sa.func.json_each(text).table_valued("value").c.value)


_NAMES: Final = (agents.c.label, agents.c.hostname)


def _tagged(name: str, *wanted: Condition) -> Condition:
    return agents.c.id.in_(sa.select(agent_tags.c.agent_id).where(agent_tags.c.name == name, *wanted))
