"""Escape sequences of a remote terminal: found however the typing is cut, and nothing else is touched."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from outrider.cli.escapes import Escapes, Typed, Wish

KEYS = [b"~", b".", b"?", b"\r", b"\n", b"a", b"~.", b"\r~?", b"\r~~"]
TYPED = st.lists(st.sampled_from(KEYS)).map(b"".join)


def test_what_is_found() -> None:
    """At the begin of a line; a tilde elsewhere is one."""
    assert Escapes().feed(b"~.") == [Typed(b"", Wish.LEAVE)]
    assert Escapes().feed(b"ls ~.\r~.rest") == [Typed(b"ls ~.\r", Wish.LEAVE)]
    assert Escapes().feed(b"~~.\r") == [Typed(b"~.\r")]
    assert Escapes().feed(b"~?x") == [Typed(b"", Wish.HELP), Typed(b"x")]
    assert Escapes().feed(b"~/bin\r") == [Typed(b"~/bin\r")]
    held = Escapes()
    assert held.feed(b"\r~") == [Typed(b"\r")]
    assert held.feed(b"x") == [Typed(b"~x")]


def _whole(pieces: list[bytes]) -> tuple[bytes, list[Wish]]:
    escapes = Escapes()
    data, wishes = b"", []
    for piece in pieces:
        for typed in escapes.feed(piece):
            data += typed.data
            if typed.wish is not None:
                wishes.append(typed.wish)
                if typed.wish is Wish.LEAVE:
                    return data, wishes
    return data, wishes


@given(TYPED, st.lists(st.integers(0, 40)))
def test_cuts_do_not_matter(typed: bytes, cuts: list[int]) -> None:
    """The same passes, and the same is wanted, in one piece and in many."""
    places = sorted({0, len(typed), *(cut for cut in cuts if cut < len(typed))})
    pieces = [typed[start:end] for start, end in pairwise(places)]
    assert _whole(pieces) == _whole([typed])


@given(st.binary().filter(lambda typed: b"~" not in typed))
def test_without_a_tilde_everything_passes(typed: bytes) -> None:
    """Byte by byte."""
    assert b"".join(each.data for each in Escapes().feed(typed)) == typed
