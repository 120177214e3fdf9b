"""One-time codes by time (RFC 6238), as authenticator apps make them: SHA-1, 30 seconds, six digits."""

import base64
import hashlib
import hmac
from typing import Final
from urllib.parse import quote, urlencode

STEP_SECONDS: Final = 30
DIGITS: Final = 6
SECRET_BYTES: Final = 20
"""As long as the hash, which RFC 4226 recommends."""
WINDOW: Final = 1
"""Steps that a phone's clock may be early or late, and a person slow."""


def step_at(now: float) -> int:
    """Tell which step a unix time falls into."""
    return int(now // STEP_SECONDS)


def code_at(secret: bytes, step: int, *, digits: int = DIGITS) -> str:
    """Make the code of a step."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    start = digest[-1] & 0xF
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, code: str, *, now: float, after: int) -> int | None:
    """Find the step within the window whose code this is, among those after the step `after`.

    `after` is the step of the last code that was taken: no code counts twice. The time it takes does not
    depend on the code.
    """
    given = code.encode("utf-8", "surrogatepass")
    found = None
    for step in range(max(0, step_at(now) - WINDOW), step_at(now) + WINDOW + 1):
        is_right = hmac.compare_digest(code_at(secret, step).encode(), given)
        if is_right and step > after:
            found = step
    return found


def text_of(secret: bytes) -> str:
    """Write a secret as people type it into an app: base32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri_of(secret: bytes, *, username: str, issuer: str) -> str:
    """Write a secret as the address that apps read from a QR code."""
    query = urlencode(
        {
            "secret": text_of(secret),
            "issuer": issuer,
            "algorithm": "SHA1",
            "digits": DIGITS,
            "period": STEP_SECONDS,
        },
        quote_via=quote,
    )
    return f"otpauth://totp/{quote(f'{issuer}:{username}', safe='')}?{query}"
