"""Durations as people type them."""

import math
import re
from typing import Final

from outrider.domain.errors import Invalid

_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|m|min|h|d)?", re.ASCII)
_SECONDS: Final = {None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str, option: str) -> float:
    """Read `90`, `90s`, `20m`, `1.5h` or `7d` as seconds. Raises Invalid, naming the option."""
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match["number"]) * _SECONDS[match["unit"]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise Invalid(f"{option} takes a duration such as 90, 90s, 20m, 1.5h or 7d, not {text[:80]!r}.")
    return seconds
