"""`system_info`: facts about the host."""

import msgspec


class SystemInfoParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing to say; the agent answers a JSON object on stdout."""
