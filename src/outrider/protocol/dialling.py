"""Listen mode: the one line that the center says on a connection it has dialled, before TLS begins.

From the line's end on the connection is used as if the agent had dialled it: the agent speaks TLS and HTTP as
a client, the center answers. Nothing of this module is trusted: certificates and keys decide who is who.

The line names the connection: `FIRST` when the center dials on its own, so that the agent may open its link,
otherwise the name that the agent said in `ConnectionWanted`, which nobody else knows.
"""

import re
import secrets
from typing import Final

from outrider.domain.errors import LinkFault

FIRST: Final = "first"
MAX_LINE: Final = 64
PREAMBLE_WITHIN: Final = 10.0
"""Seconds that the line may take."""
_NAME_BYTES: Final = 18
_LINE: Final = re.compile(rb"OUTRIDER 1 ([A-Za-z0-9_-]{1,40})\n")


def new_name() -> str:
    """Make a name for a connection that is wanted."""
    return secrets.token_urlsafe(_NAME_BYTES)


def line_for(name: str) -> bytes:
    """Write the line of a connection."""
    return f"OUTRIDER 1 {name}\n".encode("ascii")


def name_in(line: bytes) -> str:
    """Read the name in a line. Raises LinkFault for any other bytes."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise LinkFault("This is no center that dials an agent.")
    return found[1].decode("ascii")
