"""Turns the short form of an enrolment key into the key itself, which the center gives.

The short form carries no pin: whoever poses as the center could read it and join in this host's place, or
take this host in. So it is said only over a connection that is to be trusted without the key.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Final

import msgspec
import yarl

from outrider.agent import trust
from outrider.agent.enrolment_door import CenterAway, EnrolmentRefused, ask_center
from outrider.domain.enrolment import EnrolmentKey, MalformedEnrolmentKey

_PATH: Final = "/api/agents/exchange-key"
_FULL: Final = "Use the full enrolment key, which knows the center by itself"


class ExchangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /api/agents/exchange-key`."""

    short: str


class ExchangeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The center's answer."""

    key: str


async def exchange(center_url: str, short: str, *, center_ca: Path, authorities: str) -> EnrolmentKey:
    """Ask the center once for the key behind a short form.

    The center proves itself by the authority in `center_ca` where this host has pinned one before, else by
    the system's, or by one in the folder `authorities` (empty for none); over plain http it has to be on this
    very host. Raises EnrolmentRefused, or CenterAway.
    """
    url = yarl.URL(center_url)
    context = None
    if url.scheme == "https":
        context = await asyncio.to_thread(_context, center_ca, authorities)
    elif not trust.is_loopback(url.host or ""):
        raise EnrolmentRefused(f"A short key is not said over an unencrypted connection. {_FULL}.")
    answer = await ask_center(
        center_url,
        _PATH,
        ExchangeRequest(short=short),
        ExchangeAnswer,
        context=context,
        connector=None,
        distrusted=f"{_FULL}: this host does not trust the center's certificate, so it says no short key",
    )
    try:
        return EnrolmentKey.parse(answer.key)
    except MalformedEnrolmentKey as error:
        raise CenterAway(f"The center's answer can't be read: {error}") from None


def refuse_in_listen_mode() -> EnrolmentRefused:
    """Make the error for a host that its center dials."""
    return EnrolmentRefused(f"A short key can't be used where this host waits for its center. {_FULL}.")


def _context(center_ca: Path, authorities: str) -> ssl.SSLContext:
    try:
        return trust.known_context(center_ca, authorities)
    except OSError as error:
        raise CenterAway(f"The certificates that vouch for the center can't be read: {error}") from error
