"""Figures on the screen: sparklines, numbers with units, lines that fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.cli import terminals
from outrider.cli.figures import ASCII, BLOCKS, Followed, amount, page, sparkline, squeezed, table
from outrider.client import Agent
from outrider.domain.ids import AgentId
from outrider.domain.telemetry.snapshot import Card, Snapshot

_VALUES = st.lists(st.none() | st.floats(0, 1e15), max_size=200)


@given(_VALUES, st.integers(0, 80), st.none() | st.floats(0, 1e6))
def test_a_sparkline_fits_its_room(values: list[float | None], room: int, top: float | None) -> None:
    """One mark for each of the last values, whatever they are."""
    line = sparkline(values, room, top=top)
    assert len(line) == min(len(values), room)
    assert set(line) <= {*BLOCKS, " "}
    assert len(squeezed(values, max(room, 1))) <= max(room, 1)


def test_a_sparkline_shows_heights_and_gaps() -> None:
    """The lowest and the highest mark are those of nothing and of everything; a gap is a blank."""
    assert sparkline([0.0, 50.0, None, 100.0], 9, top=100.0) == "▁▅ █"
    assert sparkline([0.0, 50.0, None, 100.0], 9, top=100.0, marks=ASCII) == "_= #"
    assert sparkline([0.0, 0.0], 9, top=None) == "▁▁"


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (0, "0B"), (999, "999B"), (2048, "2.0K"), (5e9, "4.7G"), (1e18, "888.2P")],
)
def test_amounts_are_short(number: float | None, text: str) -> None:
    """Bytes have a unit."""
    assert amount(number) == text


@given(st.integers(1, 120), st.text(max_size=40))
def test_lines_never_pass_the_edge_or_hold_controls(room: int, name: str) -> None:
    """Whatever hosts and cards are called and however narrow the terminal is."""
    host = Followed(Agent(id=AgentId("agent_000000000001"), status="online", label=name))
    host.take(Snapshot(time=1.0, cpu_percent=1.0, cards=(Card(name=name or "x"),)))
    away = Followed(
        Agent(id=AgentId("agent_000000000002"), status="offline", label="db"), remark=f"away {name}"
    )
    lines = [*page(host, room, BLOCKS, coloured=False), *table([host, away], room, BLOCKS, coloured=False)]
    for line in lines:
        assert terminals.width(line) <= room
        assert not line or line.isprintable()
