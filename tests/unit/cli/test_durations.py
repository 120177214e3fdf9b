"""Durations as people type them."""

import pytest

from outrider.cli.durations import parse_duration
from outrider.domain.errors import Invalid


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("20m", 1200), ("20min", 1200), ("1.5h", 5400), ("7d", 604800), (" 5 s ", 5)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """A number alone is seconds; a unit may follow."""
    assert parse_duration(text, "--ttl") == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "5 weeks", "m", "1e5", "\u0665", "9" * 400, "nan", "inf"])
def test_what_is_no_duration_names_the_option(text: str) -> None:
    """The error says which option is wrong and what it takes."""
    with pytest.raises(Invalid, match="--ttl takes a duration"):
        parse_duration(text, "--ttl")
