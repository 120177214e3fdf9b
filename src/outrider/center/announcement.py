"""The last steps of a start: the first user, and word to whoever started the center."""

from collections.abc import Iterable, Sequence

from outrider.center.access.sign_in import FIRST_USER, SignIn
from outrider.center.fleet.service import FleetService
from outrider.center.http.server import Listener
from outrider.center.listening import url_of
from outrider.center.local_agent import local_enrolment_key
from outrider.center.process import leave_out_of_collections
from outrider.center.security.authority import Authority
from outrider.center.settings import CenterSettings
from outrider.center.store.engine import Store
from outrider.kit import logs
from outrider.kit.launch import announce
from outrider.kit.supervise import Ready

log = logs.get(__name__)


class FirstUser:
    """Adds the first user, once the store can be written and before anybody can ask."""

    name = "first user"

    def __init__(self, sign_in: SignIn, chosen: str | None) -> None:
        """Take the password that was `chosen`; without one it is made."""
        self._sign_in = sign_in
        self._chosen = chosen
        #: The password that was made, if one was.
        self.password: str | None = None

    async def serve(self, ready: Ready) -> None:
        """Do it, and end."""
        self.password = await self._sign_in.begin(self._chosen)
        ready()


class Announcement:
    """Tells whoever started the center where it is."""

    name = "announcement"

    def __init__(
        self,
        settings: CenterSettings,
        listeners: Sequence[Listener],
        first_user: FirstUser,
        *,
        fleet: FleetService,
        store: Store,
        authority: Authority | None,
        descriptor: int | None,
    ) -> None:
        """Tell on `descriptor` when a launcher gave one, else on standard output."""
        self._settings = settings
        self._listeners = listeners
        self._first_user = first_user
        self._fleet = fleet
        self._store = store
        self._authority = authority
        self._descriptor = descriptor

    async def serve(self, ready: Ready) -> None:
        """Do it, and end."""
        urls = {
            ("tls_url" if "https" in each.name else "url"): url_of(each, self._settings)
            for each in self._listeners
        }
        if self._descriptor is not None:
            announce(self._descriptor, {**urls, **await self._for_a_launcher()})
        else:
            self._say(urls.values())
        log.info("center ready", **urls)
        leave_out_of_collections()
        ready()

    async def _for_a_launcher(self) -> dict[str, object]:
        return {
            "pins": sorted(self._authority.pins()) if self._authority else [],
            "admin": {"username": FIRST_USER, "password": self._first_user.password},
            "local_enrolment_key": await local_enrolment_key(self._store, self._fleet),
        }

    def _say(self, urls: Iterable[str]) -> None:
        for url in urls:
            print(f"Outrider control center: {url}", flush=True)  # noqa: T201 (told once, to who started it)
        if made := self._first_user.password:
            print(f"First user: {FIRST_USER}   password: {made}   (shown once)", flush=True)  # noqa: T201 (told once)
