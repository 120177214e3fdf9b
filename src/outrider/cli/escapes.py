r"""The escape sequences of a remote terminal, as ssh has them: `~` at the begin of a line, then a key.

`~.` leaves, `~?` shows what there is, `~~` types a `~`. Everything else passes as it was typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

HELP: Final = "~.  leave: the terminal ends on its host\r\n~~  type a ~\r\n~?  this\r\n"
_TILDE: Final = ord("~")
_LINE_ENDS: Final = frozenset(b"\r\n")


class Wish(Enum):
    """What a person wants of this program, not of the host."""

    LEAVE = "leave"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Typed:
    """What passes to the host, and what is wanted after that."""

    data: bytes
    wish: Wish | None = None


class Escapes:
    """Takes what is typed, however it is cut, and finds the sequences in it."""

    def __init__(self) -> None:
        """At the begin of a line."""
        self._at_begin = True
        self._held = False

    def feed(self, data: bytes) -> list[Typed]:
        """Give what passes and what is wanted, in order. After LEAVE the rest is left out."""
        found: list[Typed] = []
        passing = bytearray()
        for byte in data:
            if self._held:
                self._held = False
                if byte == ord("."):
                    return [*found, Typed(bytes(passing), Wish.LEAVE)]
                if byte == ord("?"):
                    found.append(Typed(bytes(passing), Wish.HELP))
                    passing.clear()
                    self._at_begin = True
                    continue
                passing.append(_TILDE)
                if byte == _TILDE:
                    self._at_begin = False
                    continue
            elif byte == _TILDE and self._at_begin:
                self._held = True
                continue
            passing.append(byte)
            self._at_begin = byte in _LINE_ENDS
        if passing:
            found.append(Typed(bytes(passing)))
        return found
