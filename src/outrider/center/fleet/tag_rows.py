"""Writing an agent's tags. A value has an owner, host or center, and a version; the latest write wins.

Each agent's tags are kept a second time, as one text with the agent itself: that is what targets and lists
look at. Both are written here and nowhere else.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from outrider.center.store.schema import agent_tags, agents
from outrider.center.store.writer import Transaction

HOST: Final = "host"
CENTER: Final = "center"


def as_text(tags: Iterable[str]) -> str:
    """Write tags as the text that is kept with the agent: each between line ends, which no tag contains."""
    written = "\n".join(tags)
    return f"\n{written}\n" if written else ""


def as_tags(text: str) -> list[str]:
    """Read such a text."""
    return text.split("\n")[1:-1]


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
    if wanted != {key: row.value for key, row in kept.items()}:
        await _keep_text(tx, agent_id, wanted)


async def take_host_tags(tx: Transaction, agent_id: str, tags: Collection[str]) -> None:
    """Take over what the host says of itself: its pairs are added, changed and removed.

    A value that the center has set since stays the center's. What can't be printed is left out: no target
    could ask for it, and a line end would pass for the end of a tag.
    """
    kept = await _current(tx, agent_id)
    said = {(name, pair): value for name, pair, value in map(_split, filter(str.isprintable, tags)) if pair}
    before = {key: row.value for key, row in kept.items()}
    after = dict(before)
    for key, row in kept.items():
        if row.owner == HOST and key not in said:
            await _delete(tx, agent_id, key[0], pair=key[1])
            del after[key]
    for key, value in said.items():
        row = kept.get(key)
        if row is None or (row.owner == HOST and row.value != value):
            version = 1 if row is None else row.version + 1
            await _put(tx, agent_id, key, value, owner=HOST, version=version)
            after[key] = value
    if after != before:
        await _keep_text(tx, agent_id, after)


async def _keep_text(tx: Transaction, agent_id: str, tags: Mapping[tuple[str, bool], str]) -> None:
    words = sorted(name for name, pair in tags if not pair)
    pairs = sorted((name, value) for (name, pair), value in tags.items() if pair)
    text = as_text([*words, *(f"{name}={value}" for name, value in pairs)])
    await tx.conn.execute(sa.update(agents).where(agents.c.id == agent_id).values(tags=text))


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
