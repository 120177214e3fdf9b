"""The numbers both sides of the link go by, in seconds."""

from typing import Final

HEARTBEAT: Final = 10.0
SILENCE: Final = 3.0
"""Heartbeat intervals without a word after which a side gives the link up."""
HELLO_WITHIN: Final = 10.0
"""How long the first message may take."""
