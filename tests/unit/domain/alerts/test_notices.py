"""Notices in words, and how long sending is tried."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.alerts.notices import (
    GIVE_UP_SECONDS,
    Facts,
    compose,
    counted,
    listed,
    retry_after,
)
from outrider.domain.alerts.outages import NoticeKind
from outrider.domain.alerts.rules import Severity


def _facts(kind: NoticeKind, *, count: int = 1000, firing: int = 1000, rule: str = "web away") -> Facts:
    return Facts(
        id="ntc_1",
        kind=kind,
        rule=rule,
        condition="offline for 5 min",
        severity=Severity.CRITICAL,
        count=count,
        names=[f"web-{number}" for number in range(min(count, 10))],
        firing=firing,
        center="https://center.example",
    )


def test_an_outage_reads_as_one_thing() -> None:
    """How many, the first of them, the rule, the center and the notice's id."""
    told = compose(_facts(NoticeKind.FIRING))
    assert told.title == "[FIRING] web away: 1,000 hosts"
    assert told.body.splitlines() == [
        "1,000 hosts: offline for 5 min.",
        "web-0, web-1, web-2, web-3, web-4, web-5, web-6, web-7, web-8, web-9 and 990 more",
        "",
        "Rule: web away (offline for 5 min), critical",
        "Center: https://center.example",
        "Notice: ntc_1",
    ]


def test_each_kind_says_what_happened() -> None:
    """Growth, what goes on, what is over in part, and all of it."""
    first = {
        kind: compose(_facts(kind, count=3, firing=7)).body.splitlines()[0]
        for kind in NoticeKind
        if kind is not NoticeKind.TEST
    }
    assert first == {
        NoticeKind.FIRING: "3 hosts more: offline for 5 min. Altogether 7 hosts now.",
        NoticeKind.REMINDER: "Still 3 hosts: offline for 5 min.",
        NoticeKind.RECOVERING: "3 hosts recovered. It goes on for 7 hosts now.",
        NoticeKind.RESOLVED: "3 hosts recovered: all is over.",
    }
    gone = compose(_facts(NoticeKind.RESOLVED, count=0, firing=0))
    assert gone.body.splitlines()[0] == "All is over."
    assert compose(_facts(NoticeKind.TEST)).title == "[TEST] web away"


def test_counts_have_their_plural() -> None:
    """One host, two hosts, two dispatches."""
    assert [counted(1, "host"), counted(2, "host"), counted(2, "dispatch")] == [
        "1 host",
        "2 hosts",
        "2 dispatches",
    ]


@given(st.text(max_size=300), st.lists(st.text(max_size=300), max_size=12))
def test_what_hosts_call_themselves_forges_no_line(rule: str, names: list[str]) -> None:
    """No name breaks a line of the text or the title, or is longer than a name is."""
    facts = _facts(NoticeKind.FIRING, count=max(1, len(names)), rule=rule)
    told = compose(
        Facts(**{name: getattr(facts, name) for name in facts.__struct_fields__} | {"names": names})
    )
    assert told.title.isprintable()
    assert len(told.body.splitlines()) == 5 + bool(names)
    assert len(listed(names, len(names))) <= 10 * 83 + 30


def test_what_hosts_call_themselves_is_no_markup() -> None:
    """A host can't call everybody of a chat, or hide where a link leads; it is still known by its name."""
    said = listed(["db-1", "@everyone", "<!channel>", "[all is well](http://evil.example)"], 4)
    assert said.startswith("db-1, ")
    assert not set("@<>[]`") & set(said)
    assert unicodedata.normalize("NFKC", said).endswith(
        "@everyone, <!channel>, [all is well](http://evil.example)"
    )


def test_sending_is_tried_for_hours_and_then_given_up() -> None:
    """Quickly at first, every quarter of an hour at last, some thirty times in all."""
    age = 0.0
    waits: list[float] = []
    while (wait := retry_after(len(waits) + 1, age=age)) is not None:
        waits.append(wait)
        age += wait
    assert waits[:4] == [10, 20, 40, 80]
    assert max(waits) == 900
    assert 20 <= len(waits) <= 40
    assert age >= GIVE_UP_SECONDS
