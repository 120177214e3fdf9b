"""The center's own settings, to be read: they are changed where the center runs."""

from __future__ import annotations

import msgspec

from outrider.client.asking import Asking


class CenterSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of the center: what it is now, and what it would be if nobody had said.

    Of a secret, `value` says only whether it is set: it is blanked or empty. `name` is the key in
    `center.toml`, and `variable` the variable that wins over it.
    """

    name: str
    variable: str = ""
    value: str = ""
    default: str = ""
    is_default: bool = True
    is_secret: bool = False
    takes: str = ""
    means: str = ""


class Settings(Asking):
    """The methods about the center's settings."""

    async def settings(self) -> list[CenterSetting]:
        """Every setting, in the order of the settings page. Raises Forbidden without the role admin."""
        return await self._transport().ask("GET", "/api/settings", list[CenterSetting], repeatable=True)
