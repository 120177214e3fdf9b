"""Widths of texts and columns."""

from hypothesis import given
from hypothesis import strategies as st

from outrider.cli import terminals
from outrider.cli.listing import fitted

printable = st.text(st.sampled_from("ab \u00fc\u65e5\u672c\U0001f600"), max_size=40)


@given(printable, st.integers(2, 20))
def test_folded_lines_fit_and_lose_nothing_but_spaces(text: str, room: int) -> None:
    """Each line fits into its column; joined again without spaces they are the text."""
    lines = terminals.fold(text, room)
    assert all(terminals.width(line) <= room for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(printable, st.integers(2, 20))
def test_a_text_that_is_cut_fits(text: str, room: int) -> None:
    """What fits stays as it is; what does not ends in an ellipsis."""
    shown = terminals.cut(text, room)
    assert terminals.width(shown) <= room
    assert shown == text or shown.endswith("\u2026")


@given(st.lists(st.tuples(st.integers(0, 80), st.booleans()), min_size=1, max_size=8), st.integers(20, 200))
def test_columns_fit_where_they_can(columns: list[tuple[int, bool]], room: int) -> None:
    """Whole columns stay, the others give no more than is needed, and never below a few characters."""
    natural, whole = [size for size, _ in columns], [keep for _, keep in columns]
    widths = fitted(natural, whole, room)
    assert all(width == size for width, size, keep in zip(widths, natural, whole, strict=True) if keep)
    assert all(min(size, 6) <= width <= size for width, size in zip(widths, natural, strict=True))
    total = sum(widths) + 2 * (len(widths) - 1)
    narrow = all(width <= 6 for width, keep in zip(widths, whole, strict=True) if not keep)
    assert total <= room or narrow
    if sum(natural) + 2 * (len(natural) - 1) <= room:
        assert widths == natural
