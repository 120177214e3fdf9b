"""Lines of logs as people read them."""

from outrider.cli.log_reading import shown
from outrider.client import LogLine


def test_a_line_of_a_file_is_shown_as_it_is() -> None:
    """Nothing is put before it; one that was cut says so."""
    assert shown(LogLine(time=1.0, message="GET / 200")) == "GET / 200"
    assert shown(LogLine(time=1.0, message="x" * 9, cut=True)) == "xxxxxxxxx [...]"


def test_an_entry_of_the_journal_says_when_and_who() -> None:
    """By its name, or else its unit; lines within it are indented, so that none passes for another entry."""
    line = LogLine(time=1.0, message="one\ntwo\n", priority=6, pid=7, identifier="app")
    assert shown(line)[15:] == " app[7]: one\n    two"
    assert shown(LogLine(time=1.0, message="x", priority=6, unit="ssh.service"))[15:] == " ssh.service: x"
    assert shown(LogLine(time=1.0, message="x", priority=6))[15:] == " unknown: x"
