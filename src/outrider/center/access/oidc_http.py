"""What the center asks a sign-in provider over HTTP: who it is, its keys, and the token for a code."""

import base64
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from outrider.center.access.id_tokens import ProviderRefused
from outrider.center.settings import OidcSettings, is_safe_address
from outrider.domain.errors import Unavailable
from outrider.kit import logs
from outrider.kit.clock import Clock

_Answer = TypeVar("_Answer", bound=msgspec.Struct)

log = logs.get(__name__)

PATIENCE: Final = 10.0
_KEPT_FOR: Final = 3600.0
_KEYS_AGAIN_AFTER: Final = 30.0
"""Tokens with made-up keys must not make us ask the provider for its keys again and again."""
_MAX_ANSWER: Final = 256 * 1024
_OK: Final = 200
_SERVER_FAULTS: Final = 500


class ProviderUnavailable(Unavailable):
    """The sign-in provider can't be reached, is too slow, or answers what can't be read."""

    code = "provider_unavailable"


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of itself (OpenID Connect Discovery)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    #: None where the provider does not say; the standard then means `client_secret_basic`.
    token_endpoint_auth_methods_supported: list[str] | None = None


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Error(msgspec.Struct, frozen=True):
    error: str = ""


class ProviderClient:
    """Asks one provider. What it says of itself, and its keys, are kept for an hour."""

    def __init__(self, settings: OidcSettings, clock: Clock) -> None:
        """Take the provider's address and what proves us there."""
        self._settings = settings
        self._clock = clock
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, list[dict[str, Any]]] | None = None

    async def metadata(self) -> Metadata:
        """Return what the provider says of itself. Raises ProviderUnavailable."""
        if self._metadata is not None and self._clock.monotonic() < self._metadata[0] + _KEPT_FOR:
            return self._metadata[1]
        issuer = self._settings.issuer
        found = await self._get(issuer.rstrip("/") + "/.well-known/openid-configuration", Metadata)
        if found.issuer != issuer:
            raise self._unavailable(f"it calls itself {found.issuer[:200]!r}; the setting must be the same")
        for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            if not is_safe_address(address):
                raise self._unavailable(f"it names {address[:200]!r}, which is not https")
        self._metadata = (self._clock.monotonic(), found)
        return found

    async def keys(self, *, anew: bool = False) -> list[dict[str, Any]]:
        """Return the provider's keys (JWKs); `anew` when one is missing. Raises ProviderUnavailable."""
        lasts = _KEYS_AGAIN_AFTER if anew else _KEPT_FOR
        if self._keys is not None and self._clock.monotonic() < self._keys[0] + lasts:
            return self._keys[1]
        found = await self._get((await self.metadata()).jwks_uri, _Keys)
        self._keys = (self._clock.monotonic(), found.keys)
        return found.keys

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str) -> str:
        """Return the ID token for a code. Raises ProviderRefused or ProviderUnavailable."""
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        methods = metadata.token_endpoint_auth_methods_supported or ["client_secret_basic"]
        secret = self._settings.client_secret
        proof = ""
        if secret and ("client_secret_basic" in methods or "client_secret_post" not in methods):
            # RFC 6749, 2.3.1: both are form-encoded first.
            proof = f"{quote(self._settings.client_id, safe='')}:{quote(secret, safe='')}"
        else:
            form["client_id"] = self._settings.client_id
            if secret:
                form["client_secret"] = secret
        status, body = await self._ask("POST", metadata.token_endpoint, form=form, proof=proof)
        if status >= _SERVER_FAULTS:
            raise self._unavailable(f"it answers {status}")
        try:
            if status != _OK:
                reason = msgspec.json.decode(body, type=_Error).error
                raise ProviderRefused(f"The provider did not take the code: {reason[:100] or status}.")
            return msgspec.json.decode(body, type=_Tokens).id_token
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._unavailable("its answer can't be read") from error

    async def _get(self, address: str, kind: type[_Answer]) -> _Answer:
        status, body = await self._ask("GET", address)
        if status != _OK:
            raise self._unavailable(f"it answers {status} at {address}")
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._unavailable(f"what it answers at {address} can't be read") from error

    async def _ask(
        self,
        method: str,
        address: str,
        *,
        form: Mapping[str, str] | None = None,
        proof: str = "",
    ) -> tuple[int, bytes]:
        # A center without a provider does not pay its fifteen megabytes.
        import aiohttp  # noqa: PLC0415 (see above)

        headers = {"Accept": "application/json"}
        if proof:
            headers["Authorization"] = f"Basic {base64.b64encode(proof.encode()).decode()}"

        async def exchange() -> tuple[int, bytes]:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
                session.request(
                    method,
                    address,
                    data=form,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                body = b""
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > _MAX_ANSWER:
                        raise self._unavailable("its answer is too large")
                return response.status, body

        try:
            return await self._clock.wait_for(exchange(), PATIENCE)
        except TimeoutError as error:
            raise self._unavailable(f"no answer within {PATIENCE:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error

    def _unavailable(self, reason: str) -> ProviderUnavailable:
        host = urlsplit(self._settings.issuer).netloc
        log.warning("the sign-in provider could not be used", issuer=self._settings.issuer, reason=reason)
        return ProviderUnavailable(f"The sign-in provider {host} can't be used now: {reason[:300]}.")
