"""What agents get from their groups: the profile, and the parameters it comes to."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.connection import Connection
from outrider.center.store.query import Query, one_of
from outrider.center.store.schema import group_members, groups, profiles
from outrider.domain.groups.claims import Claim, winner
from outrider.domain.ids import AgentId
from outrider.domain.profiles import DEFAULT, inherited

_CLAIMS: Final = Query(
    sa.select(
        group_members.c.agent_id,
        groups.c.priority,
        groups.c.id,
        groups.c.profile_id,
    )
    .join(groups, groups.c.id == group_members.c.group_id)
    .where(one_of(group_members.c.agent_id, "ids"), groups.c.profile_id.is_not(None))
)
_PROFILES: Final = Query(sa.select(profiles.c.id, profiles.c.name, profiles.c.params))
_GROUPS: Final = Query(
    sa.select(groups.c.id, groups.c.name, group_members.c.by_hand, group_members.c.by_rule)
    .join(group_members, groups.c.id == group_members.c.group_id)
    .where(group_members.c.agent_id == sa.bindparam("agent"))
    .order_by(groups.c.name)
)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's profile; `group_id` is the group it has it from, None for the default profile's."""

    id: str
    name: str
    group_id: str | None
    params: dict[str, str]


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A group that an agent is in, by hand, by the group's rule, or by both."""

    id: str
    name: str
    by_hand: bool
    by_rule: bool


async def given(conn: Connection, ids: Collection[AgentId]) -> Mapping[AgentId, Given]:
    """Find what agents get; those of one profile share its parameters."""
    claims: defaultdict[str, list[Claim]] = defaultdict(list)
    for row in await _CLAIMS.all(conn, ids=sorted(ids)):
        claims[row[0]].append(Claim(row[1], row[2], row[3]))
    kept = {row[0]: (row[1], row[2]) for row in await _PROFILES.all(conn)}
    name, default = kept[DEFAULT]
    comes_to = {key: inherited(default, params) for key, (_, params) in kept.items()}
    nothing = Given(id=DEFAULT, name=name, group_id=None, params=comes_to[DEFAULT])
    found: dict[AgentId, Given] = {}
    for agent in ids:
        claim = winner(claims.get(agent, ()))
        found[agent] = (
            nothing
            if claim is None
            else Given(
                id=claim.profile_id,
                name=kept[claim.profile_id][0],
                group_id=claim.group_id,
                params=comes_to[claim.profile_id],
            )
        )
    return found


async def memberships(conn: Connection, agent_id: AgentId) -> list[Membership]:
    """List the groups that an agent is in, by name."""
    return await _GROUPS.structs(conn, Membership, agent=agent_id)
