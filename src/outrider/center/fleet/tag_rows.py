"""Writing an agent's tags. A value has an owner, host or center, and a version; the latest write wins.

A version is the time of the write in milliseconds, or one more than the version it was written over: so that
whoever has read a value writes a later one, and of two who have not the clock decides. Of a tag that was
removed the version is kept, for a while: an older write does not bring it back.

Each agent's tags are kept a second time, as one text with the agent itself: that is what targets and lists
look at. Both are written here and nowhere else. Who writes tags sorts the agent then (`groups.sorting`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.store.query import Query
from outrider.center.store.schema import agent_tags, agents, removed_tags
from outrider.center.store.writer import Transaction
from outrider.domain.errors import Invalid
from outrider.domain.tags import CENTER, HOST, MAX_TAGS, parse_pair
from outrider.protocol.messages import TagWrite

_KEPT_REMOVALS: Final = MAX_TAGS
"""How many removals of an agent are remembered: the newest."""


class TagRow(msgspec.Struct, frozen=True):
    """A tag as it is kept."""

    name: str
    is_pair: bool
    value: str
    owner: str
    version: int


_Key = tuple[str, bool]
_TAGS: Final = Query(
    sa.select(*(agent_tags.c[name] for name in TagRow.__struct_fields__)).where(
        agent_tags.c.agent_id == sa.bindparam("agent")
    )
)
_REMOVED: Final = Query(
    sa.select(removed_tags.c.name, removed_tags.c.version).where(
        removed_tags.c.agent_id == sa.bindparam("agent")
    )
)


def as_text(tags: Iterable[str]) -> str:
    """Write tags as the text that is kept with the agent: each between line ends, which no tag contains."""
    written = "\n".join(tags)
    return f"\n{written}\n" if written else ""


def as_tags(text: str) -> list[str]:
    """Read such a text."""
    return text.split("\n")[1:-1]


async def replace_tags(tx: Transaction, agent_id: str, tags: Collection[str]) -> bool:
    """Make `tags` (already parsed) the agent's tags; what stays the same keeps its owner. False: all did."""
    kept = await _Kept.read(tx, agent_id)
    wanted: dict[_Key, str] = {}
    for tag in tags:
        name, equals, value = tag.partition("=")
        wanted[name, bool(equals)] = value
    for key in kept.rows.keys() - wanted.keys():
        await kept.remove(key, kept.next_version(key))
    for key, value in wanted.items():
        if key not in kept.rows or kept.rows[key].value != value:
            await kept.put(key, value, CENTER, kept.next_version(key))
    return await kept.finish()


async def take_host_writes(tx: Transaction, agent_id: str, writes: Sequence[TagWrite]) -> bool:
    """Take over what was set and removed on the host; False when that changes no value.

    A write that is older than what the center has of the name is passed over, and so is one that no agent
    may have: the host is told the center's tags afterwards.
    """
    kept = await _Kept.read(tx, agent_id)
    now = int(tx.now * 1000)
    for write in writes:
        try:
            name, value = parse_pair(write.name, write.value or "")
        except Invalid:
            continue
        key = (name, True)
        # The clock of a host may be ahead: nothing that has come is later than now.
        version = min(write.at, now)
        if version <= kept.version(key) or (key not in kept.rows and len(kept.rows) >= MAX_TAGS):
            continue
        if write.value is None:
            await kept.remove(key, version)
        else:
            await kept.put(key, value, HOST, version)
    return await kept.finish()


class _Kept:
    """An agent's tags within a transaction, as they were and as they become."""

    def __init__(
        self, tx: Transaction, agent_id: str, rows: dict[_Key, TagRow], removed: dict[str, int]
    ) -> None:
        self.rows = rows
        self._tx = tx
        self._agent_id = agent_id
        self._removed = removed
        self._before = _texts(rows)
        self._has_removed = False

    @classmethod
    async def read(cls, tx: Transaction, agent_id: str) -> "_Kept":
        rows = await _TAGS.structs(tx.conn, TagRow, agent=agent_id)
        removed = await _REMOVED.all(tx.conn, agent=agent_id)
        return cls(
            tx, agent_id, {(row.name, row.is_pair): row for row in rows}, {row[0]: row[1] for row in removed}
        )

    def version(self, key: _Key) -> int:
        """The version of the latest write of a name; 0 when there was none."""
        row = self.rows.get(key)
        if row is not None:
            return row.version
        return self._removed.get(key[0], 0) if key[1] else 0

    def next_version(self, key: _Key) -> int:
        """The version of a write that the center makes now."""
        return max(int(self._tx.now * 1000), self.version(key) + 1)

    async def put(self, key: _Key, value: str, owner: str, version: int) -> None:
        """Set a tag."""
        await self._delete(key)
        name, is_pair = key
        row = self.rows[key] = TagRow(name, is_pair, value, owner, version)
        values = {"agent_id": self._agent_id, **msgspec.structs.asdict(row)}
        await self._tx.conn.execute(sa.insert(agent_tags).values(**values))

    async def remove(self, key: _Key, version: int) -> None:
        """Remove a tag, and remember when: words are set by the center alone, nothing else writes them."""
        await self._delete(key)
        if key[1]:
            await self._tx.conn.execute(
                sa.insert(removed_tags).values(agent_id=self._agent_id, name=key[0], version=version)
            )
            self._removed[key[0]] = version
            self._has_removed = True

    async def _delete(self, key: _Key) -> None:
        name, is_pair = key
        if self.rows.pop(key, None) is not None:
            of_name = (
                agent_tags.c.agent_id == self._agent_id,
                agent_tags.c.name == name,
                agent_tags.c.is_pair == is_pair,
            )
            await self._tx.conn.execute(sa.delete(agent_tags).where(*of_name))
        if is_pair and self._removed.pop(name, None) is not None:
            await self._forget([name])

    async def _forget(self, names: Sequence[str]) -> None:
        await self._tx.conn.execute(
            sa.delete(removed_tags).where(
                removed_tags.c.agent_id == self._agent_id, removed_tags.c.name.in_(names)
            )
        )

    async def finish(self) -> bool:
        """Write the text that is kept with the agent; False when no value has changed."""
        if self._has_removed and len(self._removed) > _KEPT_REMOVALS:
            oldest = sorted(self._removed, key=lambda name: self._removed[name])
            await self._forget(oldest[:-_KEPT_REMOVALS])
        after = _texts(self.rows)
        if after == self._before:
            return False
        await self._tx.conn.execute(
            sa.update(agents).where(agents.c.id == self._agent_id).values(tags=as_text(after))
        )
        return True


def _texts(rows: Mapping[_Key, TagRow]) -> list[str]:
    words = sorted(row.name for row in rows.values() if not row.is_pair)
    pairs = sorted((row.name, row.value) for row in rows.values() if row.is_pair)
    return [*words, *(f"{name}={value}" for name, value in pairs)]
