"""The revisions of the schema, oldest first. README.md beside this file says how one is added."""

from typing import Final

# Kept here, so that a start with nothing to do need not load Alembic; a test compares it with the files.
REVISIONS: Final = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
)
HEAD: Final = REVISIONS[-1]
