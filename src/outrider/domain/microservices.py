"""Microservices of a host and their configurations, as center and agent both know them (contract 003).

The two sides compare digests: of a configuration, and of all that a host has. A number would not do: a center
that was put back to a backup gives numbers away that a host has seen with another text.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from outrider.domain.errors import Invalid
from outrider.domain.ids import MicroserviceId

MAX_CONFIG: Final = 64 * 1024
"""Bytes of one configuration in UTF-8."""
MAX_CONFIGS: Final = 4 * 1024 * 1024
"""Bytes of all configurations of one host: its agent holds them in memory."""
MAX_MICROSERVICES: Final = 1000
"""How many microservices a host has at most."""
MAX_ID: Final = 64
NO_MICROSERVICES: Final = ""
"""The digest of a host that has none."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS: Final = 24


def parse_microservice_id(text: str) -> MicroserviceId:
    """Check an id: it stands in addresses and in containers' variables. Raises `Invalid`."""
    if not _ID.fullmatch(text):
        raise Invalid(
            f"The microservice id {text[:80]!r} must be letters, digits, _ and - ({MAX_ID} at most).",
            field="microservice",
        )
    return MicroserviceId(text)


def check_config(config: str) -> int:
    """Return how many bytes a configuration has. Raises `Invalid` for one that can't be kept."""
    size = len(config.encode())
    if size > MAX_CONFIG:
        raise Invalid(
            f"The configuration has {size} bytes; {MAX_CONFIG} are taken.", field="config", limit=MAX_CONFIG
        )
    if "\0" in config:
        raise Invalid("The configuration holds a null character; encode what is not text.", field="config")
    return size


def version_of(config: str) -> str:
    """Return what tells this text from every other."""
    return hashlib.sha256(config.encode()).hexdigest()[:_DIGITS]


def digest_of(versions: Mapping[MicroserviceId, str]) -> str:
    """Return what tells these microservices, each with the version of its text, from all others."""
    if not versions:
        return NO_MICROSERVICES
    lines = "".join(f"{name} {versions[name]}\n" for name in sorted(versions))
    return hashlib.sha256(lines.encode()).hexdigest()[:_DIGITS]
