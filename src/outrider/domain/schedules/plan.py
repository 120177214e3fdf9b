"""What becomes of a schedule that is due: what fires, what is recorded as missed, what is next."""

import msgspec

from outrider.domain.schedules.when import When, next_after


class Plan(msgspec.Struct, frozen=True):
    """What to do now; all times in unix seconds."""

    #: The time that fires.
    fires: float | None
    #: The oldest time that was missed and does not fire.
    missed: float | None
    #: The next time after now.
    next: float | None


def plan(when: When, due: float, *, now: float, grace: float) -> Plan:
    """Decide about a schedule whose time `due` has come.

    Several times that have passed since (the center was down, or its clock was set forward) fire once
    together: as the oldest of them that is not older than `grace` seconds.
    """
    following = next_after(when, now)
    if now - due <= grace:
        return Plan(fires=due, missed=None, next=following)
    late = next_after(when, now - grace)
    return Plan(fires=late if late is not None and late <= now else None, missed=due, next=following)
