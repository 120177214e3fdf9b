"""Listings."""

import pytest

from outrider.cli.listing import Column, ago, show_facts, show_json, show_table, span, until

HOSTILE = "evil\x1b]0;pwned\x07\nfake  online"


def test_a_pipe_gets_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Aligned, whole, without colours or frames, however wide."""
    show_table([Column("NAME"), Column("STATUS")], [["web", "online"], ["x" * 300, "offline"]], empty="None.")
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["web", "online"]
    assert "x" * 300 in out
    assert "\x1b" not in out


def test_no_name_can_command_the_terminal_or_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What is not printable in a cell is escaped."""
    show_table([Column("NAME")], [[HOSTILE]], empty="None.")
    show_facts({"name": HOSTILE})
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert len(out.splitlines()) == 3


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Values are printed as indented JSON, with control characters escaped as JSON does."""
    show_json([{"name": HOSTILE}])
    out = capsys.readouterr().out
    assert out.startswith("[\n")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_spans_are_told_in_their_largest_fitting_unit(seconds: float, text: str) -> None:
    """People read `3 min`, not 187 seconds."""
    assert span(seconds) == text


def test_moments_are_told_from_now() -> None:
    """Past, future and never."""
    assert ago(100, now=103) == "3 s ago"
    assert ago(105, now=103) == "0 s ago"
    assert ago(None) == "never"
    assert until(400, now=100) == "in 5 min"
    assert until(50, now=100) == "past"
    assert until(None) == "never"
