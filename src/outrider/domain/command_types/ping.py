"""`ping`: does the agent answer."""

import msgspec


class PingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing to say; the agent answers `pong`."""
