"""What a notice says, and of whom nothing is said for now."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from outrider.center.alerts import rows
from outrider.center.alerts.change_writes import NewNotice
from outrider.center.alerts.rows import SilenceRow
from outrider.center.alerts.watch import Found, Moment, Watch
from outrider.center.fleet.targets import condition_of
from outrider.center.store.connection import Connection
from outrider.center.store.query import one_of
from outrider.center.store.schema import agents
from outrider.domain.alerts.notices import NAMED, Facts, compose
from outrider.domain.alerts.outages import NoticeKind
from outrider.domain.alerts.rules import ConditionKind, describe
from outrider.domain.ids import new_notice_id
from outrider.domain.targets.errors import InvalidTarget
from outrider.kit import logs

log = logs.get(__name__)


async def silenced(
    conn: Connection, watch: Watch, silences: Sequence[SilenceRow], moment: Moment, *, heard_since: float
) -> frozenset[str]:
    """Say of which of a rule's hosts nothing is told now. A target's silence is not about dispatches."""
    firing = {found.subject for found in watch.counting}
    quiet: set[str] = set()
    for silence in silences:
        is_on = silence.starts <= moment.wall < silence.ends
        if not is_on or silence.rule_id not in (None, watch.rule.id):
            continue
        if silence.target is None:
            return frozenset(firing)
        if watch.rule.when.kind is ConditionKind.DISPATCH_FAILED or not firing - quiet:
            continue
        try:
            wanted = await condition_of(conn, silence.target, heard_since=heard_since)
        except InvalidTarget as error:
            log.warning("a silence's target can't be read", silence=silence.id, reason=error.detail)
            continue
        query = sa.select(agents.c.id).where(one_of(agents.c.id, "ids"), wanted)
        quiet |= set((await conn.execute(query, {"ids": sorted(firing - quiet)})).scalars())
    return frozenset(quiet)


async def write_notice(
    conn: Connection, watch: Watch, kind: NoticeKind, about: Sequence[Found], moment: Moment, *, center: str
) -> NewNotice:
    """Write a notice about alerts of a rule; `center` is the address it names."""
    rule = watch.rule
    notice_id = new_notice_id(moment.wall)
    names = await rows.names_of(conn, [found.subject for found in about])
    first = sorted(about, key=lambda found: names.get(found.subject, found.subject))[:NAMED]
    is_dispatch = rule.when.kind is ConditionKind.DISPATCH_FAILED
    told = compose(
        Facts(
            id=notice_id,
            kind=kind,
            rule=rule.name,
            condition=describe(rule.when),
            severity=rule.severity,
            count=len(about),
            names=[_named(found, names, kind) for found in first],
            firing=len(watch.counting),
            noun="dispatch" if is_dispatch else "host",
            center=center,
        )
    )
    return NewNotice(
        id=notice_id,
        rule_id=rule.id,
        rule_name=rule.name,
        outage_id=None if watch.outage is None else watch.outage.id,
        kind=kind,
        severity=rule.severity,
        count=len(about),
        title=told.title,
        body=told.body,
        channels=rule.channels,
    )


def _named(found: Found, names: Mapping[str, str], kind: NoticeKind) -> str:
    name = names.get(found.subject, found.subject)
    if kind is NoticeKind.FIRING and found.value is not None:
        return f"{name} ({found.value:.4g})"
    if kind is NoticeKind.FIRING and found.count > 1:
        return f"{name} ({found.count} times)"
    return name
