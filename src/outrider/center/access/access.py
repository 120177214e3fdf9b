"""The room of access: who people are and what they may, its parts wired."""

from collections.abc import Mapping

from outrider.center.access.authentication import Authentication
from outrider.center.access.hashing import Hashing
from outrider.center.access.known import KnownCallers
from outrider.center.access.oidc import Providers
from outrider.center.access.own_password import OwnPasswords
from outrider.center.access.second_factor import SecondFactors
from outrider.center.access.sessions import Sessions
from outrider.center.access.sign_in import SignIn
from outrider.center.access.signing import Signing
from outrider.center.access.stream_tokens import StreamTokens
from outrider.center.access.throttle import Throttle
from outrider.center.access.tokens import ApiTokens
from outrider.center.access.users import Users
from outrider.center.security.sealing import Sealer
from outrider.center.settings import OidcSettings
from outrider.center.store.engine import Store
from outrider.kit.clock import Clock


class Access:
    """Who comes in, and how; `authentication` is a service."""

    def __init__(
        self, store: Store, clock: Clock, sealer: Sealer, *, session_seconds: float, oidc: OidcSettings
    ) -> None:
        """Wire the parts; a session lasts `session_seconds` when nobody ends it."""
        known, hashing, throttle = KnownCallers(clock), Hashing(), Throttle(clock)
        signing = Signing(store, sealer)
        self.authentication = Authentication(store, clock, signing, known, StreamTokens(clock))
        self.own_passwords = OwnPasswords(store, hashing, throttle, known)
        self.second_factors = SecondFactors(store, clock, sealer, self.own_passwords, known)
        self.sign_in = SignIn(
            store, clock, hashing, throttle, self.second_factors, session_seconds=session_seconds
        )
        self.sessions = Sessions(store, clock, known)
        self.users = Users(store, clock, hashing, known)
        self.api_tokens = ApiTokens(store, clock, signing, known)
        self.providers = Providers(store, clock, self.sign_in, throttle, known, oidc)

    @property
    def handed(self) -> Mapping[str, object]:
        """What handlers are given, by their parameter's name."""
        return {
            "sign_in": self.sign_in,
            "authentication": self.authentication,
            "own_passwords": self.own_passwords,
            "second_factors": self.second_factors,
            "sessions": self.sessions,
            "users": self.users,
            "api_tokens": self.api_tokens,
            "providers": self.providers,
        }
