"""The center's settings as they may be shown: what is secret is never among them."""

import re
from typing import Final

import msgspec

from outrider.kit import config
from outrider.kit.secrecy import BLANK, is_secret_name

_WITH_SECRET: Final = re.compile(r"(?<=://)[^/?#\s]*@")
"""Who an address signs in as: a password stands there."""
_AFTER_PATH: Final = re.compile(r"[?#].*$")
_PLACES: Final = frozenset({"tls_key", "deploy_keys"})
"""Settings called like secrets that say only where one lies."""


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of the center: what it is now, and what it would be if nobody had said."""

    name: str
    variable: str
    value: str
    default: str
    is_default: bool
    is_secret: bool
    takes: str
    means: str


def told(settings: msgspec.Struct) -> list[SettingView]:
    """Return every setting, in the order of the settings page; of secrets, whether they are set."""
    return [_view(each) for each in config.tell(settings)]


def _view(value: config.Value) -> SettingView:
    setting = value.setting
    name = setting.name.rpartition(".")[2]
    is_secret = is_secret_name(name) and name not in _PLACES
    shown = value.shown
    if is_secret:
        shown = BLANK if shown else ""
    elif name.endswith("_url"):
        # What follows the path of an address may hold a password too.
        shown = _AFTER_PATH.sub(f"?{BLANK}", _WITH_SECRET.sub(f"{BLANK}@", shown))
    return SettingView(
        name=setting.name,
        variable=setting.variable,
        value=shown,
        default=setting.default or "",
        is_default=value.is_default,
        is_secret=is_secret,
        takes=setting.type,
        means=setting.doc,
    )
