"""Which output is kept, and how pieces become a whole again."""

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.output import HEAD_BYTES, TAIL_BYTES, extent, join, merge

KEPT = HEAD_BYTES + TAIL_BYTES


@given(st.integers(min_value=0, max_value=4 * KEPT))
@example(KEPT)
@example(KEPT + 1)
@example(HEAD_BYTES)
def test_up_to_a_megabyte_is_kept_whole_and_then_both_ends(total: int) -> None:
    """Contract 002: 1 MiB a stream, head and tail beyond, the count between."""
    kept = extent(total)
    assert 0 <= kept.head_end <= kept.tail_start <= total
    assert kept.head_end == min(total, HEAD_BYTES)
    assert kept.dropped == max(0, total - KEPT)
    assert kept.head_end + (total - kept.tail_start) == min(total, KEPT)


@given(st.data(), st.binary(max_size=60))
def test_pieces_of_a_stream_join_to_it(data: st.DataObject, stream: bytes) -> None:
    """However a stream is cut, repeated and overlapped: sorted pieces that cover it give it back."""
    cuts = data.draw(st.lists(st.integers(0, len(stream))))
    edges = sorted({0, len(stream), *cuts})
    pieces = [(start, stream[start:end]) for start, end in itertools.pairwise(edges)]
    extra = data.draw(st.lists(st.tuples(st.integers(0, len(stream)), st.integers(0, len(stream)))))
    pieces += [(min(pair), stream[min(pair) : max(pair)]) for pair in extra]
    pieces.sort(key=lambda piece: piece[0])
    joined = join(pieces, len(stream))
    assert (joined.data, joined.dropped) == (stream, 0)
    assert merge(pieces) == ([(0, stream)] if pieces else [])


@given(st.lists(st.tuples(st.integers(0, 80), st.binary(max_size=20))), st.integers(0, 200))
def test_what_is_missing_is_counted(pieces: list[tuple[int, bytes]], total: int) -> None:
    """Every byte is kept or counted as left out; runs never touch or overlap."""
    pieces.sort(key=lambda piece: piece[0])
    runs = merge(pieces)
    covered = {offset + number for offset, piece in pieces for number in range(len(piece))}
    assert {offset + number for offset, piece in runs for number in range(len(piece))} == covered
    assert all(first[0] + len(first[1]) < second[0] for first, second in itertools.pairwise(runs))
    joined = join(pieces, total)
    assert len(joined.data) == len(covered)
    assert joined.dropped == max(0, total - len(covered))
    assert 0 <= joined.gap_at <= len(joined.data)


def test_the_mark_stands_where_something_is_left_out() -> None:
    """In the middle, at the start or at the end: at the widest gap, with the count."""
    assert join([(0, b"ab"), (8, b"yz")], 10).text() == "ab\n[... 6 bytes left out ...]\nyz"
    assert join([(8, b"yz")], 10).text() == "\n[... 8 bytes left out ...]\nyz"
    assert join([(0, b"ab")], 10).text() == "ab\n[... 8 bytes left out ...]\n"
    assert join([], 0).text() == ""
    assert join([(0, b"\xff")], 1).text() == "\ufffd"
