"""Text from outside, made safe to print."""


def escape(text: str) -> str:
    r"""Return `text` with everything that is not printable escaped, such as a line end as `\n`.

    What is left can't move a cursor, turn the writing direction or start a line of its own.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
