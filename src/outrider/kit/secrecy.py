"""Which names stand for values that must not be shown."""

import re
from typing import Final

BLANK: Final = "***"

_SECRET_WORDS: Final = frozenset(
    {
        "authorization",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "key",
        "keys",
        "passphrase",
        "password",
        "passwords",
        "secret",
        "secrets",
        "token",
        "tokens",
    }
)
# Words within `agent_key`, `X-Agent-Key`, `agentKey` and `APIToken` alike.
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def is_secret_name(name: str) -> bool:
    """Tell whether a field called `name` holds a secret: its last word says so.

    `agent_key`, `X-Agent-Key` and `accessToken` do; `key_id` and `token_count` do not.
    """
    words = _WORD.findall(name)
    return bool(words) and words[-1].lower() in _SECRET_WORDS
