"""What the center knows of itself: its epoch, how far its event log has come, small facts in `meta`."""

import itertools
import secrets
from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider import __version__
from outrider.center.store import events
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.center.store.events import Event
from outrider.center.store.schema import meta
from outrider.center.store.writer import Transaction
from outrider.domain.actors import CENTER
from outrider.kit import logs
from outrider.kit.supervise import Ready
from outrider.protocol.messages import CenterSeen

log = logs.get(__name__)

EPOCH: Final = "epoch"
STARTS: Final = "starts"
_STARTS_KEPT: Final = 5000


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A small fact to be kept; `event` and `action` name what it tells the event log and the audit log."""

    key: str
    value: str
    event: str = ""
    action: str = ""
    data: dict[str, str] = {}


class KeepFacts:
    """Keep facts in `meta`, replacing what was there."""

    name = "keep facts"
    rank = 1

    async def apply(self, tx: Transaction, items: Sequence[Fact]) -> Sequence[None]:
        """Write them all."""
        for item in items:
            await tx.conn.execute(sa.delete(meta).where(meta.c.key == item.key))
            await tx.conn.execute(sa.insert(meta).values(key=item.key, value=item.value))
            if item.event:
                tx.event(item.event, "center", {})
            if item.action:
                tx.audit(CENTER, item.action, "center", item.data)
        return [None] * len(items)


KEEP_FACTS = KeepFacts()


async def fact(conn: Connection, key: str) -> str | None:
    """Read a fact."""
    found: str | None = (
        await conn.execute(sa.select(meta.c.value).where(meta.c.key == key))
    ).scalar_one_or_none()
    return found


class Start(msgspec.Struct, frozen=True, array_like=True):
    """One start of the center: its name, and where its part of the event log begins."""

    name: str
    first: int


_starts = msgspec.json.Decoder(list[Start])


class Standing:
    """The center's epoch, start and position, as agents are told them. A service: it writes its start down.

    An agent that has met a start of this epoch which the center does not remember, or has seen that start
    come further than the center remembers, has met a later state of it: the database was restored from an
    older copy. The center then takes a new epoch. The position alone would not tell: a restored center goes
    on, and has soon come further than its agents have seen.
    """

    name = "standing"

    def __init__(self, store: Store, position: int, starts: Sequence[Start]) -> None:
        """Begin where the store stands; `load` is the way to get one."""
        self._store = store
        self.epoch = store.epoch
        self.position = position
        self._starts = [*starts, Start(secrets.token_urlsafe(9), position + 1)][-_STARTS_KEPT:]
        store.writer.subscribe(self._advance)

    @classmethod
    async def load(cls, store: Store) -> "Standing":
        """Read where the store stands."""
        async with store.read() as conn:
            starts = await fact(conn, STARTS)
            return cls(store, await events.newest(conn), _starts.decode(starts) if starts else [])

    async def serve(self, ready: Ready) -> None:
        """Write down that this start is, before any agent hears of it; then end."""
        value = msgspec.json.encode(self._starts).decode()
        told = {"version": __version__, "epoch": self.epoch, "start": self._starts[-1].name}
        await self._store.writer.submit(
            KEEP_FACTS, Fact(key=STARTS, value=value, action="center.start", data=told)
        )
        ready()

    def _advance(self, written: Sequence[Event]) -> None:
        self.position = written[-1].position

    def seen(self) -> CenterSeen:
        """Say what an agent that is told something now has seen."""
        return CenterSeen(epoch=self.epoch, position=self.position, start=self._starts[-1].name)

    async def was_restored(self, seen: CenterSeen) -> bool:
        """Tell whether an agent has seen a later center than this; takes a new epoch at the first sign."""
        if seen.epoch != self.epoch:
            return True
        if seen.position <= self._reached(seen.start):
            return False
        log.warning("the database is older than what agents have seen: it was restored; a new epoch begins")
        told = {"was": self.epoch}
        self.epoch = secrets.token_urlsafe(12)
        await self._store.writer.submit(
            KEEP_FACTS,
            Fact(
                key=EPOCH,
                value=self.epoch,
                event="center.restored",
                action="center.new_epoch",
                data={**told, "epoch": self.epoch},
            ),
        )
        return True

    def _reached(self, start: str) -> int:
        """Say how far the event log came with that start: nowhere with one that never was."""
        if not start:
            return self.position
        for known, following in itertools.pairwise(self._starts):
            if known.name == start:
                return following.first - 1
        return self.position if start == self._starts[-1].name else -1
