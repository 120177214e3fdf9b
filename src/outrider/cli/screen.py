r"""Remote output made safe for a terminal.

A command's output may come from a host nobody trusts, and a terminal obeys what it reads: it can be made to
write files, report its contents as if typed, or change the clipboard. Colours, line ends, tabs and
backspaces pass; every other control character is shown as its escape, such as `\x1b`. Output that does not go
to a terminal is never touched.
"""

import re
from typing import Final

_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]{0,64}m")
_UNFINISHED_COLOUR: Final = re.compile(r"\x1b(?:\[[0-9;:]{0,64})?\Z")
# C0 and C1 controls but \b \t \n \r, and the characters that turn the writing direction.
_UNSAFE: Final = re.compile("[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

RESET: Final = "\x1b[0m"


class ScreenFilter:
    """Filters one stream of text that arrives in pieces; a colour may be cut between two of them."""

    def __init__(self) -> None:
        self._held = ""
        self._coloured = False

    def feed(self, text: str) -> str:
        """Return what of the text may be shown now."""
        text = self._held + text
        unfinished = _UNFINISHED_COLOUR.search(text)
        cut = unfinished.start() if unfinished else len(text)
        text, self._held = text[:cut], text[cut:]
        return self._safe(text)

    def finish(self) -> str:
        """Return what was held back, and the end of any colour that was left on."""
        rest = self._safe(self._held)
        self._held = ""
        return rest + (RESET if self._coloured else "")

    def _safe(self, text: str) -> str:
        shown = []
        end = 0
        for colour in _COLOUR.finditer(text):
            shown += [_escaped(text[end : colour.start()]), colour.group()]
            end = colour.end()
            self._coloured = colour.group() not in (RESET, "\x1b[m")
        shown.append(_escaped(text[end:]))
        return "".join(shown)


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)
