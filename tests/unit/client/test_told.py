"""What a reader of a dispatch is told after a cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from outrider.client import DispatchMissed, DispatchOutput
from outrider.client.dispatches import Told
from outrider.domain.ids import AgentId, CommandId


def piece(offset: int, text: str) -> DispatchOutput:
    """A piece of one host's output."""
    return DispatchOutput(
        agent_id=AgentId("a"), command_id=CommandId("c"), stream="stdout", offset=offset, text=text
    )


def cut(text: str, places: list[int]) -> list[DispatchOutput]:
    """The text in pieces, cut at these places."""
    ends = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    pairs = pairwise(ends)
    return [piece(len(text[:start].encode()), text[start:end]) for start, end in pairs]


places = st.lists(st.integers(0, 30), max_size=5)


@given(st.text(st.characters(codec="utf-8"), max_size=30), places, places, st.integers(0, 6))
def test_nothing_is_told_twice_and_nothing_is_lost(
    text: str, first: list[int], second: list[int], heard: int
) -> None:
    """However the output is cut before and after the connection broke."""
    told = Told()
    got = [told.news_in(one) for one in cut(text, first)[:heard]]
    told.is_replayed = True
    got += [told.news_in(one) for one in cut(text, second)]
    assert "".join(one.text for one in got if isinstance(one, DispatchOutput)) == text


def test_a_gap_is_told_once() -> None:
    """What was missing before the cut is not missing again."""
    told = Told()
    gap = DispatchMissed(agent_id=AgentId("a"), command_id=CommandId("c"), stream="stdout", start=0, end=9)
    assert told.news_in(gap) is gap
    told.is_replayed = True
    assert told.news_in(gap) is None
