"""Signing in with an OpenID Connect provider: authorization code with PKCE, state and nonce."""

import base64
import hashlib
import hmac
import secrets
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from outrider.center.access import user_rows
from outrider.center.access.id_tokens import Expected, ProviderRefused, UnknownKey, verify
from outrider.center.access.identity_rows import RECOGNISE_PERSONS, Person
from outrider.center.access.known import KnownCallers
from outrider.center.access.oidc_http import ProviderClient
from outrider.center.access.one_use import OneUse
from outrider.center.access.sign_in import SignedIn, SignIn
from outrider.center.access.stamps import new_stamp
from outrider.center.access.throttle import Throttle
from outrider.center.access.user_rows import User
from outrider.center.settings import OidcSettings
from outrider.center.store.engine import Store
from outrider.domain import provider_rules, return_addresses
from outrider.domain.errors import Forbidden, Invalid, NotFound, OutriderError, Unauthenticated
from outrider.domain.ids import UserId, new_user_id
from outrider.domain.return_addresses import ReturnAddress
from outrider.domain.roles import Role
from outrider.kit.clock import Clock

SIGN_IN_WITHIN: Final = 600.0
"""Seconds that a person may take at the provider."""
EXCHANGE_WITHIN: Final = 60.0
_ROOM: Final = 2_000
_BYTES: Final = 32


class Listed(msgspec.Struct, frozen=True):
    """A provider to sign in with; `label` is what to write on the button."""

    name: str
    label: str


class Departure(msgspec.Struct, frozen=True):
    """Where to send the browser, and what it is to keep, so that no other browser can end this sign-in."""

    url: str
    browser: str


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider sends a browser back with."""

    code: str | None
    state: str | None
    error: str | None
    issuer: str | None
    #: What the browser has kept.
    browser: str | None


class _Pending(msgspec.Struct, frozen=True, kw_only=True):
    nonce: str
    verifier: str
    redirect_uri: str
    back: ReturnAddress
    browser: str


class Providers:
    """Signs people in with the provider of the settings, if there is one."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        sign_in: SignIn,
        throttle: Throttle,
        known: KnownCallers,
        settings: OidcSettings,
    ) -> None:
        """Take the parts."""
        self._store = store
        self._clock = clock
        self._sign_in = sign_in
        self._throttle = throttle
        self._known = known
        self._settings = settings
        self._client = ProviderClient(settings, clock)
        self._mapping = provider_rules.parse_mapping(settings.role_mapping)
        self._pending: OneUse[_Pending] = OneUse(clock, lifetime=SIGN_IN_WITHIN, room=_ROOM)
        self._proved: OneUse[UserId] = OneUse(clock, lifetime=EXCHANGE_WITHIN, room=_ROOM)

    def all(self) -> list[Listed]:
        """List the providers."""
        if not self._settings.issuer:
            return []
        return [Listed(self._settings.name, self._settings.label or self._settings.name)]

    async def begin(
        self, name: str, redirect: str, *, base_url: str, browser: str | None, address: str
    ) -> Departure:
        """Begin a sign-in that shall lead back to `redirect`; `base_url` is how the browser reaches us.

        Raises NotFound, Invalid for an address that is not ours, Throttled, or ProviderUnavailable.
        """
        self._check(name)
        back = return_addresses.parse(redirect)
        self._throttle.take_departure(address)
        try:
            metadata = await self._client.metadata()
        except OutriderError as error:
            if not back.shows_refusals:
                raise
            return Departure(refusal(back, error), browser or _random())
        pending = _Pending(
            nonce=secrets.token_urlsafe(_BYTES),
            verifier=secrets.token_urlsafe(_BYTES),
            redirect_uri=f"{base_url.rstrip('/')}/api/oidc/{name}/callback",
            back=back,
            # One for all tabs of a browser, so that a second sign-in does not spoil the first.
            browser=browser if browser and len(browser) == len(_random()) else _random(),
        )
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": pending.redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": self._pending.put(pending),
            "nonce": pending.nonce,
            "code_challenge": _challenge(pending.verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        return Departure(metadata.authorization_endpoint + joint + urlencode(query), pending.browser)

    async def arrive(self, name: str, arrival: Arrival, *, address: str) -> str:
        """End a sign-in; return where to send the browser, with a one-use `code` to exchange.

        A program that waits and the console are told there what goes wrong, as `error` and
        `error_description`. Else raises ProviderRefused, ProviderUnavailable, Forbidden, Conflict, or
        Invalid for an unknown sign-in.
        """
        self._check(name)
        pending = self._pending.take(arrival.state or "")
        if pending is None:
            raise Invalid(
                "This sign-in is not known, was ended, or took too long; begin again.", field="state"
            )
        if not hmac.compare_digest(pending.browser.encode(), (arrival.browser or "").encode()):
            raise Invalid("This sign-in was begun in another browser; begin again.", field="state")
        try:
            user = await self._prove(arrival, pending)
        except OutriderError as error:
            await self._sign_in.refuse(None, address, "provider")
            if not pending.back.shows_refusals:
                raise
            return refusal(pending.back, error)
        return pending.back.with_query(urlencode({"code": self._proved.put(user.id)}))

    async def exchange(self, code: str, *, address: str, client: str) -> SignedIn:
        """Open the session that a code of `arrive` stands for. Raises Unauthenticated or Throttled."""
        self._throttle.take_address(address)
        user_id = self._proved.take(code)
        if user_id is None:
            raise Unauthenticated("The code was used or is too old; sign in again.")
        async with self._store.read() as conn:
            user = await user_rows.user_with(conn, user_id)
        signed_in = await self._sign_in.open(user, address=address, client=client, means=self._settings.name)
        self._throttle.clear_address(address)
        return signed_in

    async def _prove(self, arrival: Arrival, pending: _Pending) -> User:
        if arrival.error is not None:
            raise ProviderRefused(f"The provider did not let you in: {arrival.error[:100]}.")
        if arrival.issuer is not None and arrival.issuer != self._settings.issuer:
            raise ProviderRefused("The answer comes from another provider.")
        if not arrival.code:
            raise ProviderRefused("The provider sent no code.")
        token = await self._client.redeem(
            arrival.code, verifier=pending.verifier, redirect_uri=pending.redirect_uri
        )
        claims = await self._claims(token, pending.nonce)
        return await self._recognise(claims)

    async def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        settings = self._settings
        expected = Expected(issuer=settings.issuer, client_id=settings.client_id, nonce=nonce)
        try:
            return verify(token, await self._client.keys(), expected, now=self._clock.time())
        except UnknownKey:
            # The provider may have changed its keys since we asked.
            keys = await self._client.keys(anew=True)
            return verify(token, keys, expected, now=self._clock.time())

    async def _recognise(self, claims: dict[str, Any]) -> User:
        settings = self._settings
        if not provider_rules.is_from(claims, settings.allowed_domains):
            raise Forbidden(
                "Your e-mail address is not of a domain that may sign in here, or is not verified."
            )
        role = Role(settings.default_role) if settings.default_role else None
        if self._mapping:
            role = provider_rules.mapped_role(claims, settings.role_claim, self._mapping) or role
            if role is None:
                raise Forbidden("The provider knows you, but gives you no role here; ask an administrator.")
        username = provider_rules.username(claims, settings.username_claim)
        if username is None:
            raise ProviderRefused("The provider sends no name that can be used here.")
        person = Person(
            issuer=settings.issuer,
            subject=claims["sub"],
            username=username,
            user_id=new_user_id(self._clock.time()),
            stamp=new_stamp(),
            first_role=role,
            role=role if self._mapping else None,
        )
        user = await self._store.writer.submit(RECOGNISE_PERSONS, person)
        self._known.forget_user(user.id)
        return user

    def _check(self, name: str) -> None:
        if not self._settings.issuer or name != self._settings.name:
            raise NotFound("There is no such provider; GET /api/oidc lists them.")


def refusal(back: ReturnAddress, error: OutriderError) -> str:
    """Return the address that tells there what went wrong."""
    return back.with_query(urlencode({"error": error.code, "error_description": error.detail}))


def _random() -> str:
    return secrets.token_urlsafe(_BYTES)


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
