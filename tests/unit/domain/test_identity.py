"""Which agent is speaking: each way to be a copy is recognised, each honest one is not taken for a copy."""

from typing import Any

import msgspec
import pytest

from outrider.domain.identity import Identity, KnownIdentity, Verdict, judge
from outrider.domain.ids import AgentId, DeviceId

KNOWN = KnownIdentity(incarnation="spool", generation=7, start="s2", machine="m")


def said(**changes: Any) -> Identity:
    """Make the identity that was seen last, with changes."""
    whole: dict[str, Any] = {
        "agent_id": AgentId("agent_1"),
        "device_id": DeviceId("D"),
        "incarnation": "spool",
        "generation": 7,
        "start": "s2",
        "earlier_starts": ("s1",),
        "boot": "b",
        "machine": "m",
    }
    return Identity(**(whole | changes))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.SAME),
        ({"generation": 8}, Verdict.SAME),
        ({"start": "s3", "earlier_starts": ("s2", "s1")}, Verdict.RESTARTED),
        ({"start": "s4", "earlier_starts": ("s3", "s2")}, Verdict.RESTARTED),
        ({"start": "s3", "earlier_starts": ("s2",), "boot": "b2", "generation": 9}, Verdict.RESTARTED),
        ({"incarnation": "new", "generation": 0}, Verdict.NEW_SPOOL),
        ({"generation": 6}, Verdict.OLD_SPOOL),
        ({"generation": 6, "start": "s3", "earlier_starts": ("s2",)}, Verdict.OLD_SPOOL),
        ({"start": "x", "earlier_starts": ("s1",)}, Verdict.FORKED),
        ({"start": "x", "earlier_starts": ()}, Verdict.FORKED),
        ({"start": "s3", "earlier_starts": ("s2",), "machine": "m2"}, Verdict.MOVED),
    ],
)
def test_each_story_has_its_verdict(changes: dict[str, Any], verdict: Verdict) -> None:
    """Restarts and reboots are the same agent; old copies, forks and moved disks are told apart."""
    assert judge(KNOWN, said(**changes)) is verdict


def test_the_first_link_is_the_first() -> None:
    """Who was never seen can't be a copy of what was seen."""
    assert judge(KnownIdentity(), said()) is Verdict.FIRST


def test_a_restored_center_does_not_take_honest_hosts_for_copies() -> None:
    """Its last start is an old one; only the machine still counts."""
    later = said(start="s9", earlier_starts=("s8",), generation=30)
    assert judge(KNOWN, later) is Verdict.FORKED
    assert judge(KNOWN, later, center_restored=True) is Verdict.RESTARTED
    moved = msgspec.structs.replace(later, machine="m2")
    assert judge(KNOWN, moved, center_restored=True) is Verdict.MOVED


def test_what_a_verdict_means() -> None:
    """No verdict both keeps the record and may be a copy; a new spool is neither."""
    keeps = {verdict for verdict in Verdict if verdict.keeps_record}
    copies = {verdict for verdict in Verdict if verdict.may_be_a_copy}
    assert keeps == {Verdict.FIRST, Verdict.SAME, Verdict.RESTARTED}
    assert copies == {Verdict.OLD_SPOOL, Verdict.FORKED, Verdict.MOVED}
