"""A fleet that is there already: rows in the database of a center that is stopped, as enrolment leaves them.

Enrolling ten thousand hosts takes minutes that say nothing about what is measured.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from bench.rig.enrolment import facts_of
from outrider.center.store.schema import agent_tags, agents, group_members, groups
from outrider.domain.ids import new_agent_id

_READINGS: Final = {"cpu_percent": 12.5, "mem_percent": 45.0, "disk_percent": 62.0, "uptime_s": 86400.0}
_SYSTEMS: Final = (("debian", "Debian GNU/Linux 12 (bookworm)"), ("ubuntu", "Ubuntu 24.04.1 LTS"))


def store_fleet(database: Path, count: int) -> None:
    """Write `count` approved agents into the SQLite file: half heard just now, tags, a group of a tenth."""
    now = time.time()
    ids = [new_agent_id(now - count + number) for number in range(count)]
    engine = sa.create_engine(f"sqlite:///{database}")
    try:
        with engine.begin() as conn:
            conn.execute(sa.insert(agents), [_agent(ids[n], n, now) for n in range(count)])
            conn.execute(sa.insert(agent_tags), [row for n in range(count) for row in _tags(ids[n], n)])
            conn.execute(sa.insert(groups).values(id="group_blue", name="blue", created=now))
            members = [{"group_id": "group_blue", "agent_id": each} for each in ids[::10]]
            conn.execute(sa.insert(group_members), members)
    finally:
        engine.dispose()


def _agent(agent_id: str, number: int, now: float) -> dict[str, Any]:
    facts = facts_of(number)
    family, system = _SYSTEMS[number % 3 == 0]
    return {
        "id": agent_id,
        "device_id": f"{number:064x}",
        "key_hash": number.to_bytes(32, "big"),
        "public_key": "x" * 124,
        "approval": "approved",
        "label": f"{'web' if number % 2 else 'db'}-{number:05}",
        "hostname": facts.hostname,
        "ip": facts.ip,
        "os": system,
        "os_family": family,
        "version": facts.agent_version,
        "facts": msgspec.to_builtins(facts),
        "readings": _READINGS,
        "first_seen": now,
        # Nobody has a link here: who is to be online stays so, for as long as a measurement takes.
        "last_seen": now + 3600.0 if number % 2 else now - 86400.0,
        "approved_by": "admin",
        "approved_at": now,
        "generation": 1,
        "link_epoch": 1,
    }


def _tags(agent_id: str, number: int) -> Iterator[dict[str, Any]]:
    common = {"agent_id": agent_id, "owner": "center", "version": 1}
    yield {**common, "name": "web" if number % 2 else "db", "value": "", "is_pair": False}
    if number % 5 == 0:
        yield {**common, "name": "canary", "value": "", "is_pair": False}
    yield {**common, "name": "SITE", "value": f"x{number % 200}", "is_pair": True}
