"""Security stamps: what was handed out under another stamp of its user is void."""

import secrets


def new_stamp() -> str:
    """Make a stamp."""
    return secrets.token_hex(16)
