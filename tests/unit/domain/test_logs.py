"""What can be asked of a host's logs."""

import pytest

from outrider.domain.errors import Invalid
from outrider.domain.logs import PRIORITIES, check_position, check_unit, parse_priority


def test_priorities_are_numbers_or_words() -> None:
    """All of syslog's, and the other names that people know; nothing else."""
    assert [parse_priority(word) for word in PRIORITIES] == list(range(8))
    assert [parse_priority(str(number)) for number in range(8)] == list(range(8))
    assert (parse_priority("Error"), parse_priority("warn"), parse_priority("critical")) == (3, 4, 2)
    for wrong in ("8", "-1", "", "loud", "\u0663"):
        with pytest.raises(Invalid):
            parse_priority(wrong)


def test_units_are_names_or_patterns() -> None:
    """What systemd allows in a name, and `*` and `?`; nothing that could be an option's end or a path."""
    for right in ("nginx", "ssh.service", "user@1000.service", "dev-sda\\x2d1.swap", "ngin*", "a?c"):
        assert check_unit(right) == right
    for wrong in ("", "a b", "a/b", "a\nb", "a=b", "x" * 300):
        with pytest.raises(Invalid):
            check_unit(wrong)


def test_positions_are_printable_and_short() -> None:
    """They go into a line of the event stream, and back in a header."""
    assert check_position("f.1.2.00000000.3") == "f.1.2.00000000.3"
    for wrong in ("", "a b", "a\nid: b", "x" * 401, "é"):
        with pytest.raises(Invalid):
            check_position(wrong)
