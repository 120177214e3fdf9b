"""Names of files in addresses and headers, where they may be any bytes."""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

_UNSAFE: Final = re.compile(r"[^ !#$&\'()+,\-.0-9;=@A-Z\[\]^_`a-z{}~]")


def query_bytes(query: bytes, name: str) -> bytes | None:
    """Return a value of a query string as the bytes it stands for; None when it is not there."""
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if unquote_to_bytes(key.replace(b"+", b" ")) == name.encode():
            return unquote_to_bytes(value.replace(b"+", b" "))
    return None


def shown(name: bytes) -> str:
    """Return a name as text; bytes that are not UTF-8 become marks."""
    return name.decode(errors="replace")


def encoded(name: bytes) -> str | None:
    """Return a name that is no text percent-encoded, as it goes into an address; None for text."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return quote(name, safe="/")
    return None


def disposition(name: bytes) -> str:
    """Return the `Content-Disposition` of a download (RFC 6266, RFC 8187)."""
    text = shown(name)
    plain = _UNSAFE.sub("_", text) or "file"
    header = f'attachment; filename="{plain}"'
    return header if plain == text else f"{header}; filename*=UTF-8''{quote(text, safe='')}"
