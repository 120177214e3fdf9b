"""Moving agents in and out of groups by their rules, in the transaction that changes tags, labels or a rule.

Rules are held against an agent's values here and not in the database: when tags change, all rules are asked
about few agents, and when a rule does, one rule is asked about all of them.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.patterns import matcher
from outrider.center.fleet.tag_rows import as_tags
from outrider.center.store.bulk import Bulk
from outrider.center.store.connection import Connection, SteppedConnection
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import agents, group_members, groups
from outrider.center.store.writer import Transaction
from outrider.domain.groups.rules import Rule, compiled, parse
from outrider.domain.ids import AgentId

_AT_ONCE: Final = 500
"""Agents that are looked at before others get a turn: about two milliseconds for one rule."""

_RULES: Final = Query(sa.select(groups.c.id, groups.c.name, groups.c.rule).where(groups.c.rule != ""))
_VALUES: Final = Query(
    sa.select(agents.c.id, agents.c.label, agents.c.tags).where(one_of(agents.c.id, "ids"))
)
_ALL_VALUES: Final = Query(sa.select(agents.c.id, agents.c.label, agents.c.tags))
_MEMBERSHIPS: Final = Query(
    sa.select(group_members.c.agent_id, group_members.c.group_id, group_members.c.by_hand).where(
        one_of(group_members.c.agent_id, "ids"), group_members.c.by_rule
    )
)
_HAND_MADE: Final = Query(
    sa.select(group_members.c.agent_id, group_members.c.group_id).where(
        one_of(group_members.c.agent_id, "ids"), group_members.c.by_hand
    )
)
_MEMBERS: Final = Query(
    sa.select(group_members.c.agent_id, group_members.c.by_hand, group_members.c.by_rule).where(
        group_members.c.group_id == sa.bindparam("group")
    )
)
_KEY: Final = ("group", "agent")
_IS_MEMBER: Final = (
    group_members.c.group_id == sa.bindparam("group"),
    group_members.c.agent_id == sa.bindparam("agent"),
)
_ADD: Final = Bulk(
    sa.insert(group_members).values(
        group_id=sa.bindparam("group"), agent_id=sa.bindparam("agent"), by_rule=sa.true()
    ),
    _KEY,
)
_TAKE_IN: Final = Bulk(sa.update(group_members).where(*_IS_MEMBER).values(by_rule=sa.true()), _KEY)
_LET_GO: Final = Bulk(sa.update(group_members).where(*_IS_MEMBER).values(by_rule=sa.false()), _KEY)
_REMOVE: Final = Bulk(sa.delete(group_members).where(*_IS_MEMBER), _KEY)


@lru_cache(maxsize=1024)
def rule_of(text: str) -> Rule:
    """Read a rule. Raises `InvalidSortingRule`."""
    return compiled(text, parse(text), matcher)


class _Moves:
    """Changes of memberships, gathered and written together."""

    def __init__(self) -> None:
        self._add: list[dict[str, str]] = []
        self._take_in: list[dict[str, str]] = []
        self._let_go: list[dict[str, str]] = []
        self._remove: list[dict[str, str]] = []

    def note(self, group: str, agent: str, *, fits: bool, by_hand: bool) -> None:
        key = {"group": group, "agent": agent}
        if fits:
            (self._take_in if by_hand else self._add).append(key)
        else:
            (self._let_go if by_hand else self._remove).append(key)

    async def write(self, tx: Transaction) -> None:
        for bulk, rows in (
            (_ADD, self._add),
            (_TAKE_IN, self._take_in),
            (_LET_GO, self._let_go),
            (_REMOVE, self._remove),
        ):
            await bulk.run(tx.conn, rows)


async def sort_agents(tx: Transaction, ids: Collection[str]) -> None:
    """Ask all rules about some agents, whose tags or labels have changed. Each that moves gets an event."""
    if not ids:
        return
    rules = [(row[0], row[1], rule_of(row[2])) for row in await _RULES.all(tx.conn)]
    if not rules:
        return
    wanted = sorted(ids)
    for start in range(0, len(wanted), _AT_ONCE):
        await _sort_some(tx, wanted[start : start + _AT_ONCE], rules)
        await _let_others(tx)


async def _sort_some(tx: Transaction, ids: Sequence[str], rules: Sequence[tuple[str, str, Rule]]) -> None:
    by_rule = {(row[0], row[1]) for row in await _MEMBERSHIPS.all(tx.conn, ids=ids)}
    by_hand = {(row[0], row[1]) for row in await _HAND_MADE.all(tx.conn, ids=ids)}
    moves = _Moves()
    for agent, values in _each(await _VALUES.all(tx.conn, ids=ids)):
        joined: list[str] = []
        left: list[str] = []
        for group, name, rule in rules:
            fits = rule(values)
            if fits is ((agent, group) in by_rule):
                continue
            is_there = (agent, group) in by_hand
            moves.note(group, agent, fits=fits, by_hand=is_there)
            if not is_there:
                (joined if fits else left).append(name)
        if joined or left:
            tx.event("agent.groups_changed", agent, {"joined": sorted(joined), "left": sorted(left)})
    await moves.write(tx)


async def sort_group(tx: Transaction, group: str, rule_text: str) -> set[AgentId]:
    """Ask one group's rule about all agents; return those that have come into the group or left it."""
    there = {row[0]: (bool(row[1]), bool(row[2])) for row in await _MEMBERS.all(tx.conn, group=group)}
    moves = _Moves()
    moved: set[AgentId] = set()
    if rule_text:
        rule = rule_of(rule_text)
        fleet = await _ALL_VALUES.all(tx.conn)
        for start in range(0, len(fleet), _AT_ONCE):
            for agent, values in _each(fleet[start : start + _AT_ONCE]):
                by_hand, by_rule = there.pop(agent, (False, False))
                fits = rule(values)
                if fits is not by_rule:
                    moves.note(group, agent, fits=fits, by_hand=by_hand)
                    if not by_hand:
                        moved.add(AgentId(agent))
            await _let_others(tx)
    else:
        for agent, (by_hand, by_rule) in there.items():
            if by_rule:
                moves.note(group, agent, fits=False, by_hand=by_hand)
                if not by_hand:
                    moved.add(AgentId(agent))
    await moves.write(tx)
    return moved


class Fitting(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a rule would take in. `joining` and `leaving` count who a group would gain and lose by it."""

    ids: list[AgentId]
    joining: int
    leaving: int


async def fitting(conn: Connection, rule_text: str, group: str | None) -> Fitting:
    """Ask a rule about all agents, and change nothing. Raises `InvalidSortingRule`."""
    there = {}
    if group is not None:
        there = {row[0]: bool(row[1]) for row in await _MEMBERS.all(conn, group=group)}
    found: list[AgentId] = []
    if rule_text.strip():
        rule = rule_of(rule_text)
        fleet = await _ALL_VALUES.all(conn)
        for start in range(0, len(fleet), _AT_ONCE):
            found += [
                AgentId(agent) for agent, values in _each(fleet[start : start + _AT_ONCE]) if rule(values)
            ]
            await asyncio.sleep(0)
    stays = set(found) | {agent for agent, by_hand in there.items() if by_hand}
    return Fitting(
        ids=found,
        joining=sum(agent not in there for agent in found),
        leaving=sum(agent not in stays for agent in there),
    )


async def _let_others(tx: Transaction) -> None:
    """Let others have the loop; on SQLite all this is in a thread already."""
    if not isinstance(tx.conn, SteppedConnection):
        await asyncio.sleep(0)


def _each(rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for agent, label, tags in rows:
        values = {name: value for name, equals, value in _split(tags) if equals}
        values["AGENT_NAME"] = label
        values["AGENT_ID"] = agent
        yield agent, values


def _split(tags: str) -> Iterator[tuple[str, str, str]]:
    return (tag.partition("=") for tag in as_tags(tags))
