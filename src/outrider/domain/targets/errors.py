"""What can be wrong with an expression, told with the place in its text."""

from collections.abc import Sequence
from typing import Final

from outrider.domain.errors import Invalid

_SHOWN: Final = 60
"""How many characters are shown on each side of the place."""


class MisreadExpression(Invalid):
    """An expression that can't be read. `fields`: position (from 0), length, expected."""

    def __init__(
        self, reason: str, text: str, *, position: int, length: int = 1, expected: Sequence[str] = ()
    ) -> None:
        """Say what is wrong, what to do, and point at the place with a line of carets."""
        length = max(length, 1)
        super().__init__(
            f"{reason}\n{_pointed(text, position, length)}",
            position=position,
            length=length,
            expected=list(expected),
        )


class InvalidTarget(MisreadExpression):
    """A target expression that can't be read."""

    code = "invalid_target"


class EmptyTarget(Invalid):
    """A target that no host fits. `fields`: target, unmatched (the terms that nobody fits)."""

    code = "empty_target"


def _pointed(text: str, position: int, length: int) -> str:
    first, last = max(position - _SHOWN, 0), min(position + _SHOWN, len(text))
    before = ("..." if first else "") + text[first:position]
    after = text[position:last] + ("..." if last < len(text) else "")
    line = "".join(each if each.isprintable() else " " for each in before + after)
    carets = "^" * max(1, min(length, last - position))
    return f"  {line}\n  {' ' * len(before)}{carets}"
