"""Events before they are written."""

from enum import Enum

import pytest

from outrider.center.store.events import draft


class _State(Enum):
    DONE = "done"


def test_a_draft_holds_what_a_reader_will_get() -> None:
    """Enums, tuples and bytes become what JSON makes of them, so that live and stored events are equal."""
    made = draft("kind", "subject", {"state": _State.DONE, "pair": (1, 2), "raw": b"abc"})
    assert made.data == {"state": "done", "pair": [1, 2], "raw": "YWJj"}


def test_a_draft_is_not_changed_by_its_maker() -> None:
    """What is changed after the call is not in the event."""
    data: dict[str, object] = {"tags": ["a"]}
    made = draft("kind", "subject", data)
    data["tags"] = []
    assert made.data == {"tags": ["a"]}


def test_data_that_json_can_t_hold_is_refused() -> None:
    """The write that made it is told, not the reader."""
    with pytest.raises(TypeError):
        draft("kind", "subject", {"x": object()})
