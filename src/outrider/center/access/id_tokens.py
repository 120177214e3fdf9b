"""ID tokens of a sign-in provider: who signed them, for whom, when, for which sign-in (OpenID Connect)."""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
import msgspec

from outrider.domain.errors import Unauthenticated

ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"})
"""All of them sign with a private key: neither `none` nor a secret that the center knows, too."""
LEEWAY: Final = 30.0
"""Seconds that the provider's clock and ours may differ."""
_MAX_SUBJECT: Final = 255


class ProviderRefused(Unauthenticated):
    """The provider did not let this person in, or what it said does not hold."""

    code = "provider_refused"


class UnknownKey(ProviderRefused):
    """The token is signed with a key that is not among those we know of the provider."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What an ID token has to say."""

    issuer: str
    client_id: str
    nonce: str


def verify(text: str, keys: Sequence[Mapping[str, Any]], expected: Expected, *, now: float) -> dict[str, Any]:
    """Return the claims of an ID token signed with one of `keys` (JWKs).

    Raises UnknownKey when none of them is meant, else ProviderRefused with the reason.
    """
    claims = _signed(text, keys, expected)
    audience = claims["aud"]
    authorised = claims.get("azp")
    if authorised is None and isinstance(audience, list) and len(audience) > 1:
        raise _refused("it is for several and names no `azp`")
    if authorised is not None and authorised != expected.client_id:
        raise _refused("it was asked for by another")
    if now - LEEWAY >= _time(claims, "exp"):
        raise _refused("it has expired; are the clocks right?")
    if max(_time(claims, "iat"), _time(claims, "nbf", 0.0)) > now + LEEWAY:
        raise _refused("it is from the future; are the clocks right?")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise _refused("it belongs to another sign-in")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT or "\0" in subject:
        raise _refused("its subject can't be used")
    return claims


def _signed(text: str, keys: Sequence[Mapping[str, Any]], expected: Expected) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(text)
    except jwt.InvalidTokenError as error:
        raise _refused("it is no token") from error
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise _refused(f"its algorithm {str(algorithm)[:20]!r} is not taken")
    meant = [key for key in keys if _is_meant(key, header.get("kid"), algorithm)]
    if not meant:
        raise UnknownKey("The provider's token is signed with a key that the provider does not show.")
    for key in meant:
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                jwt.PyJWK(dict(key), algorithm=algorithm),
                algorithms=[algorithm],
                issuer=expected.issuer,
                audience=expected.client_id,
                # The times are checked by the center's clock.
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                },
            )
        except (jwt.InvalidSignatureError, jwt.InvalidKeyError, jwt.PyJWKError):
            continue
        except jwt.InvalidTokenError as error:
            raise _refused(str(error)[:200]) from error
        return claims
    raise _refused("its signature is wrong")


def _is_meant(key: Mapping[str, Any], key_id: object, algorithm: str) -> bool:
    return (
        key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (key_id is None or key.get("kid") == key_id)
    )


def _time(claims: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(f"its {name} is no time")
    return float(value)


def _refused(reason: str) -> ProviderRefused:
    return ProviderRefused(f"The provider's token was not taken: {reason}.")
