"""Tags: words (`web`) and NAME=value pairs on an agent (contracts 000 and 002)."""

import re
from collections.abc import Iterable
from typing import Final

from outrider.domain.errors import Invalid

MAX_TAGS: Final = 64
MAX_VALUE: Final = 255
HOST: Final = "host"
CENTER: Final = "center"
"""Who owns a value: whoever wrote it last."""
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}")
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
RESERVED: Final = frozenset({"AGENT_NAME", "AGENT_ID"})


def parse_tag(text: str) -> str:
    """Return the tag in its stored form: a word as it is, a pair with its name in upper case.

    Raises `Invalid` with the rule that was broken.
    """
    name, equals, value = text.partition("=")
    if not equals:
        if not _WORD.fullmatch(text):
            raise Invalid(
                f"The tag {text[:80]!r} is not a word: use letters, digits and _ . : / - (64 at most).",
                field="tags",
            )
        return text
    name = name.upper()
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"The tag name {name[:80]!r} must be letters, digits and _, a letter first.", field="tags"
        )
    if name in RESERVED:
        raise Invalid(f"The tag name {name} is reserved; choose another.", field="tags")
    if len(value) > MAX_VALUE or not value.isprintable():
        raise Invalid(
            f"The value of tag {name} must be printable and up to {MAX_VALUE} characters.", field="tags"
        )
    return f"{name}={value}"


def parse_pair(name: str, value: str) -> tuple[str, str]:
    """Return the name and value of a NAME=value tag as they are stored. Raises `Invalid`."""
    stored, _, kept = parse_tag(f"{name}={value}").partition("=")
    if stored != name.upper():
        raise Invalid(
            f"The tag name {name[:80]!r} must be letters, digits and _, a letter first.", field="tags"
        )
    return stored, kept


def parse_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Check all tags, drop repeats (the last value of a name wins), keep their order.

    Raises `Invalid` for a bad tag or more than 64 of them.
    """
    kept: dict[str, str] = {}
    for text in tags:
        tag = parse_tag(text)
        name, equals, _ = tag.partition("=")
        kept[name + equals] = tag
        if len(kept) > MAX_TAGS:
            raise Invalid(f"An agent has at most {MAX_TAGS} tags.", field="tags")
    return tuple(kept.values())
