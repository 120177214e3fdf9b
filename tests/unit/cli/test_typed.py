"""Parameters as people type them, and answers as tables whatever a host says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.cli.typed import answer_of, has_table, read_params, show_answer
from outrider.domain.errors import BadParams, Invalid


def test_values_become_what_the_type_takes() -> None:
    """Numbers, truth and lists are told from text by the type; only what was said is sent."""
    assert read_params("kill", ["pid=42", "wait=1.5", "escalate=true", "signal=9"]) == {
        "pid": 42,
        "wait": 1.5,
        "escalate": True,
        "signal": "9",
    }
    assert read_params("service", ["name=nginx", "action=restart"]) == {"name": "nginx", "action": "restart"}
    assert read_params("script", ["body=echo a=b", 'args=["1", "2"]']) == {
        "body": "echo a=b",
        "args": ["1", "2"],
    }
    assert read_params("of_tomorrow", ["a=1"]) == {"a": "1"}
    assert read_params("ping", []) == {}


@pytest.mark.parametrize("word", ["nginx", "=x", ""])
def test_what_is_no_parameter(word: str) -> None:
    """Each is NAME=VALUE."""
    with pytest.raises(Invalid, match="NAME=VALUE"):
        read_params("service", [word])


@pytest.mark.parametrize(
    ("kind", "word", "field"),
    [
        ("service", "nam=x", "nam"),
        ("kill", "pid=x", "pid"),
        ("processes", "sort=size", "sort"),
        ("kill", "pid=1", "pid"),
        ("kill", "pid=7 wait=x", "wait"),
    ],
)
def test_what_does_not_fit_is_named(kind: str, word: str, field: str) -> None:
    """The center's own check says which parameter, and what it takes; nothing is sent."""
    with pytest.raises(BadParams) as refused:
        read_params(kind, word.split())
    assert field in refused.value.detail


_PROCESS = {
    "pid": 7,
    "user": "root",
    "name": "sh",
    "command": "sh -c \x1b[2Jx",
    "state": "sleeping",
    "cpu_percent": 12.34,
    "rss_bytes": 5 << 20,
    "started": 0.0,
}


def test_a_table_of_processes(capsys: pytest.CaptureFixture[str]) -> None:
    """A row each, sizes for people, and nothing from the host can move the cursor."""
    show_answer("processes", json.dumps({"count": 9, "processes": [_PROCESS]}))
    shown = capsys.readouterr()
    assert "12.3  5 MiB" in shown.out
    assert "\x1b" not in shown.out
    assert "1 of 9 are shown" in shown.err


def test_the_other_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Services, one service, packages and what became of processes."""
    service: dict[str, Any] = {
        "name": "a.service",
        "active": "active",
        "sub": "running",
        "enabled": "enabled",
    }
    service |= {"pid": 3, "memory_bytes": 2048, "description": "A", "since": None, "result": "success"}
    show_answer("services", json.dumps({"count": 1, "services": [service]}))
    show_answer(
        "service", json.dumps({"action": "stop", "before": service, "service": service | {"pid": None}})
    )
    package = {"name": "bash", "version": "1", "arch": "all", "available": "2"}
    show_answer("packages", json.dumps({"show": "upgradable", "count": 1, "packages": [package]}))
    result = {"pid": 7, "user": "root", "name": "sh", "result": "ended"}
    show_answer("kill", json.dumps({"count": 1, "processes": [result]}))
    out = capsys.readouterr().out
    for text in ("a.service", "2 KiB", "before", "active (running)", "bash  1        2", "ended"):
        assert text in out


_NAMES = st.sampled_from(["processes", "count", "show", "packages", "x"])


@given(
    st.sampled_from(["processes", "kill", "services", "service", "packages"]),
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(_NAMES, inner),
    ),
)
def test_any_answer_is_shown(kind: str, answer: Any) -> None:
    """What does not fit the table is shown as it came."""
    assert has_table(kind)
    text = json.dumps(answer)
    assert answer_of(text) == answer
    show_answer(kind, text)
