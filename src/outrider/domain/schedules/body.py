"""When, as people write it and as it is given back."""

import msgspec

from outrider.domain.schedules.errors import InvalidSchedule
from outrider.domain.schedules.when import When, parse_at, parse_calendar, parse_every


class WhenBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of the three: `at` (unix seconds, or local ISO time), `every` (seconds), `cron`.

    `zone` (an IANA name) goes with a local `at` and with `cron`, `start` (unix seconds) with `every`.
    """

    at: float | str | None = None
    every: float | None = None
    start: float | None = None
    cron: str | None = None
    zone: str | None = None


def read(body: WhenBody, *, now: float) -> When:
    """Read it; an interval without a start begins at `now`. Raises `InvalidSchedule`."""
    said = [name for name in ("at", "every", "cron") if getattr(body, name) is not None]
    if len(said) != 1:
        reason = f"{' and '.join(said)} exclude each other" if said else "it is missing"
        raise InvalidSchedule(f"Say when by one of at, every and cron: {reason}.", field="when")
    if body.start is not None and body.every is None:
        raise InvalidSchedule("A start goes with every; leave it out.", field="when.start")
    if body.every is not None:
        if body.zone is not None:
            raise InvalidSchedule("An interval has no zone; leave it out.", field="when.zone")
        return parse_every(body.every, body.start, now=now)
    if body.cron is not None:
        return parse_calendar(body.cron, body.zone)
    # What is neither of the others is this one.
    return parse_at(body.at if body.at is not None else 0.0, body.zone)


def settled(body: WhenBody, *, now: float) -> WhenBody:
    """Fill in what was left out, so that it means the same ever after."""
    if body.every is not None and body.start is None:
        return msgspec.structs.replace(body, start=now)
    if body.cron is not None and body.zone is None:
        return msgspec.structs.replace(body, zone="UTC")
    return body
