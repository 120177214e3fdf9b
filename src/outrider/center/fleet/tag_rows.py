"""Writing an agent's tags. A value has an owner, host or center, and a version; the latest write wins."""

from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa

from outrider.center.store.schema import agent_tags
from outrider.center.store.writer import Transaction

HOST: Final = "host"
CENTER: Final = "center"


def _split(tag: str) -> tuple[str, bool, str]:
    name, equals, value = tag.partition("=")
    return name, bool(equals), value


async def replace_tags(tx: Transaction, agent_id: str, tags: Collection[str]) -> None:
    """Make `tags` (already parsed) the agent's tags; what stays the same keeps its owner."""
    kept = await _current(tx, agent_id)
    wanted = {(name, pair): value for name, pair, value in map(_split, tags)}
    for name, pair in kept.keys() - wanted.keys():
        await _delete(tx, agent_id, name, pair=pair)
    for key, value in wanted.items():
        if key not in kept or kept[key].value != value:
            version = kept[key].version + 1 if key in kept else 1
            await _put(tx, agent_id, key, value, owner=CENTER, version=version)


async def take_host_tags(tx: Transaction, agent_id: str, tags: Collection[str]) -> None:
    """Take over what the host says of itself: its pairs are added, changed and removed.

    A value that the center has set since stays the center's.
    """
    kept = await _current(tx, agent_id)
    said = {(name, pair): value for name, pair, value in map(_split, tags) if pair}
    for key, row in kept.items():
        if row.owner == HOST and key not in said:
            await _delete(tx, agent_id, key[0], pair=key[1])
    for key, value in said.items():
        row = kept.get(key)
        if row is None:
            await _put(tx, agent_id, key, value, owner=HOST, version=1)
        elif row.owner == HOST and row.value != value:
            await _put(tx, agent_id, key, value, owner=HOST, version=row.version + 1)


async def _current(tx: Transaction, agent_id: str) -> dict[tuple[str, bool], Any]:
    rows = await tx.conn.execute(
        sa.select(
            agent_tags.c.name,
            agent_tags.c.is_pair,
            agent_tags.c.value,
            agent_tags.c.owner,
            agent_tags.c.version,
        ).where(agent_tags.c.agent_id == agent_id)
    )
    return {(row.name, bool(row.is_pair)): row for row in rows}


async def _delete(tx: Transaction, agent_id: str, name: str, *, pair: bool) -> None:
    await tx.conn.execute(
        sa.delete(agent_tags).where(
            agent_tags.c.agent_id == agent_id, agent_tags.c.name == name, agent_tags.c.is_pair == pair
        )
    )


async def _put(
    tx: Transaction, agent_id: str, key: tuple[str, bool], value: str, *, owner: str, version: int
) -> None:
    name, pair = key
    await _delete(tx, agent_id, name, pair=pair)
    await tx.conn.execute(
        sa.insert(agent_tags).values(
            agent_id=agent_id, name=name, is_pair=pair, value=value, owner=owner, version=version
        )
    )
