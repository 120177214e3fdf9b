"""What a terminal shows after all that was written to it: enough of one to check a line that is redrawn."""

import re

_TOKEN = re.compile(
    r"\x1b\[(?P<number>\d*)(?P<verb>[A-Za-z])|\x1b\[[0-9;:]*m|(?P<control>[\r\n])|(?P<char>.)", re.DOTALL
)


def screen_text(written: str, columns: int) -> list[str]:
    """The lines of a terminal of this width; it knows how to wrap, go up, and clear to the end."""
    lines: list[list[str]] = [[]]
    row = column = 0
    for token in _TOKEN.finditer(written):
        match token["control"], token["verb"], token["char"]:
            case "\r", _, _:
                column = 0
            case "\n", _, _:
                row, column = row + 1, 0
            case _, "A", _:
                row = max(row - int(token["number"] or 1), 0)
            case _, "J", _:
                del lines[row + 1 :]
                del lines[row][column:]
            case _, _, char if char is not None:
                if column == columns:
                    row, column = row + 1, 0
                _grow(lines, row)
                lines[row][column:] = [" "] * (column - len(lines[row])) + [char] + lines[row][column + 1 :]
                column += 1
            case _:
                pass  # a colour
        _grow(lines, row)
    return ["".join(line).rstrip() for line in lines]


def _grow(lines: list[list[str]], row: int) -> None:
    while len(lines) <= row:
        lines.append([])
