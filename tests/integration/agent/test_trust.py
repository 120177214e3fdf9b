"""An agent finds its center's authority by pin and then trusts that alone: real TLS on both sides."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from outrider.agent.trust import (
    AuthorityUnavailable,
    CenterUrlRefused,
    PinMismatch,
    check_center_url,
    client_context,
    fetch_authority,
    known_context,
)
from outrider.center.security.authority import CertificateAuthority
from outrider.center.security.sealing import MasterKey, Sealer
from outrider.domain.enrolment import pin_of
from outrider.kit.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp.typedefs import Handler

NOBODY = frozenset({pin_of(b"nobody's certificate")})


def authority_in(folder: Path) -> CertificateAuthority:
    """A center's authority, valid now."""
    return CertificateAuthority.load_or_create(folder, Sealer(MasterKey(bytes(32))), SystemClock().time)


@dataclass
class Asked:
    """What the center saw."""

    count: int = 0


@asynccontextmanager
async def listening(handler: Handler, context: ssl.SSLContext | None) -> AsyncIterator[str]:
    """A web server on loopback that answers everything with `handler`; gives its address."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        scheme = "http" if context is None else "https"
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def center(authority: CertificateAuthority, *names: str) -> AsyncIterator[str]:
    """A center that shows its authorities at /api/ca and says hello elsewhere; gives its address."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/api/ca":
            return web.Response(body=authority.chain_pem(), content_type="application/x-pem-file")
        return web.Response(text="hello")

    async with listening(answer, authority.issue_server(names or ["127.0.0.1"]).server_context()) as url:
        yield url


async def hello(url: str, context: ssl.SSLContext) -> str:
    """One request over a verified connection."""
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
        return await response.text()


async def test_the_pinned_authority_is_found_and_then_trusted(tmp_path: Path) -> None:
    """From pin to verified connection, as at a first start."""
    authority = authority_in(tmp_path)
    async with center(authority) as url:
        found = await fetch_authority(url, authority.pins())
        assert found == authority.chain_pem()
        assert await hello(url, client_context(found)) == "hello"


async def test_only_pinned_authorities_are_kept(tmp_path: Path) -> None:
    """Whoever adds a certificate of their own to the answer gains nothing by it."""
    real, foreign = authority_in(tmp_path / "real"), authority_in(tmp_path / "foreign")

    async def answer(_: web.Request) -> web.Response:
        rubbish = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
        return web.Response(body=foreign.chain_pem() + rubbish + real.chain_pem())

    async with listening(answer, foreign.issue_server(["127.0.0.1"]).server_context()) as url:
        assert await fetch_authority(url, real.pins()) == real.chain_pem()


async def test_an_impostor_is_told_from_the_center(tmp_path: Path) -> None:
    """Another authority is a PinMismatch that names both pins and what to do."""
    impostor = authority_in(tmp_path)
    async with center(impostor) as url:
        with pytest.raises(PinMismatch, match=r"new key there.*sits between") as refused:
            await fetch_authority(url, NOBODY)
    assert refused.value.fields == {"expected": sorted(NOBODY), "seen": sorted(impostor.pins())}


async def test_an_impostor_that_shows_the_real_authority_gets_no_connection(tmp_path: Path) -> None:
    """The certificate is public, its key is not: the verified connection fails."""
    real, impostor = authority_in(tmp_path / "real"), authority_in(tmp_path / "impostor")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=real.chain_pem())

    async with listening(answer, impostor.issue_server(["127.0.0.1"]).server_context()) as url:
        found = await fetch_authority(url, real.pins())
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await hello(url, client_context(found))


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    """The right authority is not enough: the name must be the one that was asked for."""
    authority = authority_in(tmp_path)
    async with center(authority, "center.example.org") as url:
        with pytest.raises(aiohttp.ClientConnectorCertificateError, match=r"127\.0\.0\.1"):
            await hello(url, client_context(authority.chain_pem()))


async def test_a_host_from_before_a_rotation_still_reaches_the_center(tmp_path: Path) -> None:
    """Old keys find the old authority, and what it vouches for is trusted; so is the new one alone."""
    old = authority_in(tmp_path)
    new = old.rotate()
    async with center(new) as url:
        found = await fetch_authority(url, old.pins())
        assert found == old.chain_pem()
        assert await hello(url, client_context(found)) == "hello"
        assert await fetch_authority(url, new.pins()) == new.chain_pem()
        assert (
            await hello(url, client_context(await fetch_authority(url, new.pins() - old.pins()))) == "hello"
        )


async def test_system_authorities_do_not_vouch_for_a_centers_own(tmp_path: Path) -> None:
    """Without pins the agent trusts its system's authorities, and a center's own is none of them."""
    async with center(authority_in(tmp_path)) as url:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await hello(url, client_context(None))


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"]
)
async def test_an_answer_without_certificates_is_a_mismatch(body: bytes) -> None:
    """Some other web server stands there: nothing readable was shown."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async with listening(answer, None) as url:
        with pytest.raises(PinMismatch, match="nothing that reads as a certificate"):
            await fetch_authority(url, NOBODY)


async def test_an_endless_answer_is_cut_off() -> None:
    """No more than 64 KiB are read, whatever length the other side claims or hides."""

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(16384))
        except ConnectionError:
            return response

    async with listening(flood, None) as url:
        with pytest.raises(AuthorityUnavailable, match="more than 65536 bytes"):
            await fetch_authority(url, NOBODY)


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_any_other_status_is_no_answer(status: int) -> None:
    """Errors are named, redirects are not followed."""
    asked = Asked()

    async def answer(_: web.Request) -> web.Response:
        asked.count += 1
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with listening(answer, None) as url:
        with pytest.raises(AuthorityUnavailable, match=f"answered {status}"):
            await fetch_authority(url, NOBODY)
    assert asked.count == 1


async def test_nobody_listening_is_told(unused_tcp_port: int) -> None:
    """The address and the reason are in the message."""
    with pytest.raises(AuthorityUnavailable, match=f"127.0.0.1:{unused_tcp_port}"):
        await fetch_authority(f"https://127.0.0.1:{unused_tcp_port}", NOBODY)


async def test_without_pins_nothing_is_asked() -> None:
    """There would be nothing to recognise an authority by."""
    with pytest.raises(ValueError, match="without pins"):
        await fetch_authority("https://127.0.0.1:1", [])


@pytest.mark.parametrize(
    "url",
    [
        "https://center.example.org",
        "https://[::1]:8443/base",
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]",
    ],
)
def test_safe_addresses_are_taken(url: str) -> None:
    """TLS anywhere, plain on this machine."""
    assert str(check_center_url(url)).startswith(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://center.example.org", "not encrypted"),
        ("http://10.0.0.1", "not encrypted"),
        ("http://localhost.example.org", "not encrypted"),
        ("ftp://center", "must read https"),
        ("center.example.org", "must read https"),
        ("https://", "must read https|malformed"),
        ("", "must read https"),
        ("https://center:port", "malformed"),
        ("https://admin:secret@center", "user name"),
    ],
)
def test_other_addresses_are_refused(url: str, said: str) -> None:
    """Each says what is wrong."""
    with pytest.raises(CenterUrlRefused, match=said):
        check_center_url(url)


def test_plain_http_elsewhere_needs_the_owners_word() -> None:
    """With it, the address is taken."""
    assert check_center_url("http://center.example.org", allow_plain=True).host == "center.example.org"


async def test_certificates_in_the_owners_folder_vouch_for_the_center_too(tmp_path: Path) -> None:
    """`cert-directory`: what ends in .pem or .crt is trusted beside the kept authority, and nothing else."""
    kept, owners, dropped = (authority_in(tmp_path / name) for name in ("kept", "owners", "dropped"))
    center_ca, folder = tmp_path / "center-ca.pem", tmp_path / "certificates"
    folder.mkdir()
    center_ca.write_bytes(kept.chain_pem())
    (folder / "owners.crt").write_bytes(owners.chain_pem())
    (folder / "dropped.crt.bak").write_bytes(dropped.chain_pem())
    context = known_context(center_ca, str(folder))
    for authority in (kept, owners):
        async with center(authority) as url:
            assert await hello(url, context) == "hello"
    async with center(dropped) as url:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await hello(url, context)
    async with center(owners) as url:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await hello(url, known_context(center_ca, ""))


def test_a_certificate_in_the_owners_folder_that_is_none_is_told(tmp_path: Path) -> None:
    """It is not passed over: whoever put it there counts on it."""
    (tmp_path / "broken.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        known_context(tmp_path / "none", str(tmp_path))
