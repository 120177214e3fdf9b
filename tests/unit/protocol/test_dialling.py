"""The line with which the center begins a connection that it has dialled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.errors import LinkFault
from outrider.protocol.codec import FROM_AGENT
from outrider.protocol.dialling import FIRST, MAX_LINE, line_for, name_in, new_name
from outrider.protocol.messages import ConnectionWanted


def test_a_name_is_read_as_it_was_written() -> None:
    """Also by the message that asks for it, and within what a reader takes."""
    for name in (FIRST, new_name()):
        line = line_for(name)
        assert name_in(line) == name
        assert len(line) <= MAX_LINE
        assert FROM_AGENT.decode(FROM_AGENT.encode((ConnectionWanted(name=name),)))


def test_no_two_names_are_alike() -> None:
    """They are chance, so that nobody guesses one."""
    assert len({new_name() for _ in range(1000)}) == 1000


@given(st.binary(max_size=2 * MAX_LINE))
def test_anything_else_is_refused(line: bytes) -> None:
    """With one kind of error, whatever it is."""
    try:
        name = name_in(line)
    except LinkFault:
        return
    assert line_for(name) == line


@pytest.mark.parametrize("name", ["", "a b", "a\n", "x" * 41, "ä"])
def test_a_name_that_would_not_be_read_is_not_taken(name: str) -> None:
    """The center decodes what agents ask for before it writes it."""
    with pytest.raises(LinkFault):
        FROM_AGENT.decode(FROM_AGENT.encode((ConnectionWanted(name=name),)))
