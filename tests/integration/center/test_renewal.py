"""The server's certificate while a center runs, seen by real TLS handshakes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from outrider.center.http.server import Listener
from outrider.center.security.authority import CertificateAuthority, ServerCertificate
from outrider.center.security.certificates import CertificateRefused
from outrider.center.security.renewal import EVERY, CertificateRenewal
from outrider.center.security.sealing import MasterKey, Sealer
from outrider.center.settings import Address
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock

_DAY = 86_400.0
_NAMES = ("127.0.0.1",)


async def _nothing(_scope: object, _receive: object, _send: object) -> None:
    """Be an application that nobody asks."""


async def _shown(address: Address) -> int:
    """Shake hands and return the serial number of the certificate that is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(der).serial_number


class _Site:
    """A listener over TLS, its authority and the renewal, on a clock that is turned."""

    def __init__(self, folder: Path) -> None:
        self.clock = TurnedClock()
        self._folder = folder
        self.fault: Exception | None = None
        served = self.issue()
        context = served.server_context()
        self.listener = Listener(_nothing, Address("127.0.0.1", 0), context=context)
        self.renewal = CertificateRenewal(self.issue, context, served, self.clock)

    def issue(self) -> ServerCertificate:
        """Issue as the center does; or fail, when the test says so."""
        if self.fault is not None:
            raise self.fault
        sealer = Sealer(MasterKey(bytes(32)))
        return CertificateAuthority.load_or_create(self._folder, sealer, self.clock.time).issue_server(_NAMES)


@asynccontextmanager
async def _site(folder: Path) -> AsyncIterator[_Site]:
    site = _Site(folder)
    ready = asyncio.Event()
    async with Tasks("site") as tasks:
        serving = tasks.start("listener", site.listener.serve(ready.set))
        await ready.wait()
        yield site
        serving.cancel()
        await asyncio.wait((serving,))


async def test_a_certificate_is_renewed_while_the_center_runs(tmp_path: Path) -> None:
    """The same for a year; with less than 30 days left another one is shown, without a restart."""
    async with _site(tmp_path) as site:
        first = await _shown(site.listener.address)
        site.clock.set_time(site.clock.time() + 360 * _DAY)
        await site.renewal.renew()
        assert await _shown(site.listener.address) == first
        site.clock.set_time(site.clock.time() + 10 * _DAY)
        await site.renewal.renew()
        second = await _shown(site.listener.address)
        assert second != first
        await site.renewal.renew()
        assert await _shown(site.listener.address) == second


@pytest.mark.parametrize("fault", [CertificateRefused("unfit"), OSError("no such file")])
async def test_what_can_not_be_read_changes_nothing(tmp_path: Path, fault: Exception) -> None:
    """The certificate that is served stays, and the next look tries again."""
    async with _site(tmp_path) as site:
        first = await _shown(site.listener.address)
        site.clock.set_time(site.clock.time() + 380 * _DAY)
        site.fault = fault
        await site.renewal.renew()
        assert await _shown(site.listener.address) == first
        site.fault = None
        await site.renewal.renew()
        assert await _shown(site.listener.address) != first


async def test_it_looks_every_hour(tmp_path: Path) -> None:
    """As a service it needs nobody to ask."""
    site = _Site(tmp_path)
    looked = asyncio.Event()
    issue = site.issue

    def look() -> ServerCertificate:
        loop.call_soon_threadsafe(looked.set)
        return issue()

    loop = asyncio.get_running_loop()
    served = issue()
    renewal = CertificateRenewal(look, served.server_context(), served, site.clock)
    async with Tasks("renewal") as tasks:
        tasks.spawn("serve", renewal.serve(lambda: None))
        await site.clock.advance(EVERY - 1)
        assert not looked.is_set()
        await site.clock.advance(1)
        await looked.wait()
