"""Short forms of enrolment keys: made beside a key, and exchanged for it by hosts, within strict bounds."""

import hmac
from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.access.throttle import source_of
from outrider.center.fleet.keys import SHOWN, KeyRow, ShortRow, end_of
from outrider.center.security.sealing import Sealer
from outrider.center.store.engine import Store
from outrider.center.store.rows import as_struct
from outrider.center.store.schema import enrolment_keys
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor, ActorKind
from outrider.domain.enrolment import EnrolmentKey
from outrider.domain.errors import Throttled, Unauthenticated
from outrider.domain.short_forms import new_short_form, read_short_form
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.ratelimit import KeyedLimiter, TokenBucket

log = logs.get(__name__)

TRIES: Final = 10
_PER_SECOND: Final = 1 / 6
"""Ten tries at once, then ten a minute, for each address; success clears it."""
TRIES_EVERYWHERE: Final = 300
_PER_SECOND_EVERYWHERE: Final = 1.0
"""For all addresses together, right or wrong: a short form has 40 bits, and some live for months."""
_ADDRESSES: Final = 10_000
_CONTEXT: Final = "short form of an enrolment key"
_REFUSED: Final = (
    "No enrolment key that hosts can join with has this short form: it is mistyped, too old, used up or "
    "revoked. `outrider keys new --short` makes another."
)


class ShortForm(msgspec.Struct, frozen=True, kw_only=True):
    """A new short form; `text` is told once."""

    text: str
    row: ShortRow

    def __repr__(self) -> str:
        """Show no secret."""
        return "ShortForm()"


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A short form that a host at `address` shows, as its hashes under each master key."""

    hashes: tuple[bytes, ...]
    address: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The key behind a short form, its secret sealed."""

    key_id: str
    sealed: bytes


class ExchangeKeys:
    """Find keys by their short forms, and write down who has asked."""

    name = "exchange short forms of enrolment keys"
    rank = 12

    async def apply(self, tx: Transaction, items: Sequence[Exchange]) -> Sequence[Found | None]:
        """Return each key that hosts can join with; None for all that is refused, whatever the reason."""
        results: list[Found | None] = []
        for item in items:
            found = await self._find(tx, item)
            by = Actor(kind=ActorKind.AGENT, id="", name="", via=found.key_id if found else "")
            by = msgspec.structs.replace(by, address=item.address)
            if found is None:
                tx.audit(by, "enrolment_key.refuse", "", {"reason": "short form"})
            else:
                tx.audit(by, "enrolment_key.exchange", found.key_id)
            results.append(found)
        return results

    async def _find(self, tx: Transaction, item: Exchange) -> Found | None:
        query = sa.select(*SHOWN, enrolment_keys.c.short_hash, enrolment_keys.c.short_sealed).where(
            enrolment_keys.c.short_hash.in_(item.hashes)
        )
        for row in await tx.conn.execute(query):
            key = as_struct(row, KeyRow)
            is_it = any(hmac.compare_digest(bytes(row.short_hash), each) for each in item.hashes)
            if is_it and not end_of(key, now=tx.now):
                return Found(key_id=key.id, sealed=bytes(row.short_sealed))
        return None


_EXCHANGE: Final = ExchangeKeys()


class ShortForms:
    """Makes short forms, and gives the keys behind them."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock, *, pins: frozenset[str]) -> None:
        """Take the parts; `pins` are those of the center's CA, empty without TLS."""
        self._store = store
        self._sealer = sealer
        self._pins = pins
        self._by_address: KeyedLimiter[str] = KeyedLimiter(_PER_SECOND, TRIES, clock, max_keys=_ADDRESSES)
        self._everywhere = TokenBucket(_PER_SECOND_EVERYWHERE, TRIES_EVERYWHERE, clock)

    def make(self, key: EnrolmentKey) -> ShortForm:
        """Make a short form of a new key; it is there once its row is kept with the key."""
        text = new_short_form()
        row = ShortRow(
            hash=self._sealer.hashes(text.encode(), context=_CONTEXT)[0],
            sealed=self._sealer.seal(key.secret.encode(), context=_sealed_for(key.id)),
        )
        return ShortForm(text=text, row=row)

    async def exchange(self, text: str, *, address: str) -> str:
        """Give the enrolment key behind a short form that a host at `address` shows. Uses nothing up.

        Raises `Throttled` after many tries, else `Unauthenticated` without saying what is wrong.
        """
        source = source_of(address)
        self._take(source)
        short = read_short_form(text)
        hashes = () if short is None else self._sealer.hashes(short.encode(), context=_CONTEXT)
        found = await self._store.writer.submit(_EXCHANGE, Exchange(hashes=hashes, address=address))
        if found is None:
            log.warning("short form of an enrolment key refused", address=address)
            raise Unauthenticated(_REFUSED)
        self._by_address.forget(source)
        secret = self._sealer.unseal(found.sealed, context=_sealed_for(found.key_id)).decode()
        return EnrolmentKey(id=found.key_id, secret=secret, pins=self._pins).format()

    def _take(self, source: str) -> None:
        wait = 0.0
        if not self._by_address.try_take(source):
            wait = self._by_address.retry_after(source)
        elif not self._everywhere.try_take():
            wait = self._everywhere.retry_after()
        if wait > 0:
            raise Throttled(f"Too many short keys were tried; try again in {wait:.0f} s.", retry_after=wait)


def _sealed_for(key_id: str) -> str:
    return f"enrolment key {key_id}"
