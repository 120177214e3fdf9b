"""How often somebody may try to sign in."""

import ipaddress
from typing import Final

from outrider.domain.errors import Throttled
from outrider.kit.clock import Clock
from outrider.kit.ratelimit import KeyedLimiter

TRIES: Final = 10
_PER_SECOND: Final = 1 / 6
"""Ten tries at once, then ten a minute, for each address and each name from there; success clears it."""
TRIES_EVERYWHERE: Final = 100
_PER_SECOND_EVERYWHERE: Final = 0.5
CODE_TRIES: Final = 5
_CODES_PER_SECOND: Final = 1 / 30
"""Codes have six digits only: whoever knows the password gets few of them, wherever they come from."""
DEPARTURES: Final = 30
_DEPARTURES_PER_SECOND: Final = 0.5
"""Sign-ins begun with a provider are kept in memory until they end: one address begins few."""
_KEYS: Final = 10_000
_NETWORK: Final = 64
"""Whoever has one IPv6 address has its whole network of 2^64."""


class Throttle:
    """Counts tries. A name is held up only from where it was tried; from everywhere only by many tries.

    So nobody keeps another out by guessing at his name.
    """

    def __init__(self, clock: Clock, *, tries_everywhere: int = TRIES_EVERYWHERE) -> None:
        """`tries_everywhere` wrong tries at one name, from whatever addresses, are taken at once."""
        self._by_pair: KeyedLimiter[str] = KeyedLimiter(_PER_SECOND, TRIES, clock, max_keys=_KEYS)
        self._by_address: KeyedLimiter[str] = KeyedLimiter(_PER_SECOND, TRIES, clock, max_keys=_KEYS)
        self._by_name: KeyedLimiter[str] = KeyedLimiter(
            _PER_SECOND_EVERYWHERE, tries_everywhere, clock, max_keys=_KEYS
        )
        self._departures: KeyedLimiter[str] = KeyedLimiter(
            _DEPARTURES_PER_SECOND, DEPARTURES, clock, max_keys=_KEYS
        )
        self._codes: KeyedLimiter[str] = KeyedLimiter(_CODES_PER_SECOND, CODE_TRIES, clock, max_keys=_KEYS)

    def take(self, name: str, address: str) -> None:
        """Count a try at a name. Raises Throttled."""
        source = source_of(address)
        for limiter, key in self._keys(name, source):
            _take(limiter, key)

    def clear(self, name: str, address: str) -> None:
        """Forget the tries at a name from an address: one was right."""
        for limiter, key in self._keys(name, source_of(address)):
            limiter.forget(key)

    def take_address(self, address: str) -> None:
        """Count a try that names nobody. Raises Throttled."""
        _take(self._by_address, source_of(address))

    def clear_address(self, address: str) -> None:
        """Forget the tries from an address: one was right."""
        self._by_address.forget(source_of(address))

    def take_departure(self, address: str) -> None:
        """Count a sign-in that begins with a provider. Raises Throttled."""
        _take(self._departures, source_of(address))

    def take_code(self, user_id: str) -> None:
        """Count a try at a user's second factor. Raises Throttled."""
        _take(self._codes, user_id)

    def clear_codes(self, user_id: str) -> None:
        """Forget the tries at a user's second factor."""
        self._codes.forget(user_id)

    def _keys(self, name: str, source: str) -> tuple[tuple[KeyedLimiter[str], str], ...]:
        return (self._by_pair, f"{source} {name}"), (self._by_address, source), (self._by_name, name)


def source_of(address: str) -> str:
    """Return what one person controls: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), _NETWORK), strict=False))


def _take(limiter: KeyedLimiter[str], key: str) -> None:
    if not limiter.try_take(key):
        wait = limiter.retry_after(key)
        raise Throttled(f"Too many tries to sign in; try again in {wait:.0f} s.", retry_after=wait)
