"""Remote output on a terminal."""

import re

from hypothesis import given
from hypothesis import strategies as st

from outrider.cli.screen import RESET, ScreenFilter

pieces = st.lists(
    st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\x1b[;m0]\x07\x9b\u202e")))
)
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def shown(*texts: str) -> str:
    """What the terminal gets of these pieces."""
    screen = ScreenFilter()
    return "".join([screen.feed(text) for text in texts]) + screen.finish()


def test_plain_text_passes_untouched() -> None:
    """Line ends, tabs, backspaces and letters of any script are left as they are."""
    text = "a\tb\r\nc\b \u00fcbel \u65e5\u672c \U0001f600\n"
    assert shown(text) == text


def test_colours_pass_and_are_ended() -> None:
    """A colour that was left on does not colour what the operator types next."""
    assert shown("\x1b[1;31mred") == f"\x1b[1;31mred{RESET}"
    assert shown("\x1b[31mred\x1b[0m.") == "\x1b[31mred\x1b[0m."


def test_a_colour_cut_between_two_pieces_stays_a_colour() -> None:
    """Where the network cuts the output makes no difference."""
    assert shown("\x1b", "[3", "1mred\x1b[0m") == "\x1b[31mred\x1b[0m"


def test_what_would_command_the_terminal_is_shown_instead() -> None:
    """Titles, the clipboard, reports, cursor moves and writing direction have no effect."""
    assert shown("\x1b]0;root@bank\x07") == "\\x1b]0;root@bank\\x07"
    assert shown("\x1b]52;c;cm0gLXJm\x1b\\") == "\\x1b]52;c;cm0gLXJm\\x1b\\"
    assert shown("\x1b[6n\x1b[2J") == "\\x1b[6n\\x1b[2J"
    assert shown("\x9b2J") == "\\x9b2J"
    assert shown("exe\u202etxt") == "exe\\u202etxt"


@given(pieces)
def test_nothing_but_colours_ever_gets_through(texts: list[str]) -> None:
    """Whatever a host writes, and however it is cut, only colours are left of its control characters."""
    rest = COLOUR.sub("", shown(*texts))
    assert not re.search("[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", rest)


@given(pieces)
def test_pieces_make_no_difference(texts: list[str]) -> None:
    """The same output in one piece or in many is shown the same."""
    assert shown(*texts) == shown("".join(texts))
