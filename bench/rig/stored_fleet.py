"""A fleet that is there already: rows in the database of a center that is stopped, as enrolment leaves them.

Enrolling ten thousand hosts takes minutes that say nothing about what is measured.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from bench.rig.enrolment import facts_of
from outrider.center.fleet.tag_rows import as_text
from outrider.center.store.schema import agent_details, agent_tags, agents, group_members, groups
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
            conn.execute(sa.insert(agent_details), [_details(ids[n], n, now) for n in range(count)])
            conn.execute(sa.insert(agent_tags), [row for n in range(count) for row in _tag_rows(ids[n], n)])
            conn.execute(sa.insert(groups).values(id="group_blue", name="blue", created=now))
            members = [{"group_id": "group_blue", "agent_id": each, "by_hand": True} for each in ids[::10]]
            conn.execute(sa.insert(group_members), members)
    finally:
        engine.dispose()


def _agent(agent_id: str, number: int, now: float) -> dict[str, Any]:
    facts = facts_of(number)
    family, system = _SYSTEMS[number % 3 == 0]
    return {
        "id": agent_id,
        "approval": "approved",
        "link_epoch": 1,
        # Nobody has a link here: who is to be online stays so, for as long as a measurement takes.
        "last_seen": now + 3600.0 if number % 2 else now - 86400.0,
        "label": f"{'web' if number % 2 else 'db'}-{number:05}",
        "hostname": facts.hostname,
        "os": system,
        "os_family": family,
        "tags": as_text(_tags(number)),
        "ip": facts.ip,
        "version": facts.agent_version,
        "generation": 1,
        "clock_offset": -0.0125,
        "readings": _READINGS,
    }


def _details(agent_id: str, number: int, now: float) -> dict[str, Any]:
    return {
        "agent_id": agent_id,
        "device_id": f"{number:064x}",
        "key_hash": number.to_bytes(32, "big"),
        "public_key": "x" * 124,
        "facts": facts_of(number),
        "first_seen": now,
        "approved_by": "admin",
        "approved_at": now,
        "incarnation": f"{number:024}",
        "start": f"{number:024}",
        "boot": f"{number:036}",
        "machine": f"{number:032x}",
    }


def _tags(number: int) -> list[str]:
    words = ["canary"] if number % 5 == 0 else []
    return [*words, "web" if number % 2 else "db", f"SITE=x{number % 200}"]


def _tag_rows(agent_id: str, number: int) -> Iterator[dict[str, Any]]:
    for tag in _tags(number):
        name, equals, value = tag.partition("=")
        yield {
            "agent_id": agent_id,
            "name": name,
            "value": value,
            "is_pair": bool(equals),
            "owner": "center",
            "version": 1,
        }
