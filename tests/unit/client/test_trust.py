"""How a client knows its center, over real TLS."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
import trustme

from outrider.client import AsyncCenter, WrongCertificate
from outrider.client.trust import read_authorities
from outrider.domain.errors import Invalid
from outrider.testing.api import PASSWORD, FakeApi


@dataclass
class Tls:
    """A center over https, its authority and that authority's pin."""

    api: FakeApi
    authority: trustme.CA
    pem: str
    pin: str


def context_of(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """A server's TLS context with a certificate for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def served(name: str = "127.0.0.1") -> Tls:
    """A started center with an authority of its own."""
    authority = trustme.CA()
    pem = authority.cert_pem.bytes().decode()
    api = FakeApi(tls=context_of(authority, name), authority=pem)
    await api.start()
    return Tls(api, authority, pem, read_authorities(pem)[0].pin)


@pytest_asyncio.fixture
async def tls() -> AsyncIterator[Tls]:
    """A center over https."""
    tls = await served()
    yield tls
    await tls.api.stop()


async def test_a_center_is_known_by_its_authority(tls: Tls) -> None:
    """With the authority's PEM the connection is verified."""
    async with AsyncCenter(tls.api.url, authority=tls.pem) as center:
        assert await center.is_trusted()
        await center.login("admin", PASSWORD)


async def test_a_pin_alone_is_enough(tls: Tls) -> None:
    """The authority with that pin is fetched and then trusted."""
    async with AsyncCenter(tls.api.url) as center:
        await center.trust_pins([tls.pin])
        await center.login("admin", PASSWORD)
        assert center.authority is not None
        assert center.authority.strip() == tls.pem.strip()


async def test_another_pin_is_refused_before_any_secret_is_sent(tls: Tls) -> None:
    """The error shows both pins; the center never sees the password."""
    other = "A" * 42 + "A"
    async with AsyncCenter(tls.api.url) as center:
        with pytest.raises(WrongCertificate) as caught:
            await center.trust_pins([other])
    assert other in caught.value.detail
    assert tls.pin in caught.value.detail
    assert {request.path for request in tls.api.requests} == {"/api/ca"}


async def test_an_unknown_authority_is_refused_and_its_pin_shown(tls: Tls) -> None:
    """Without a pin nothing is trusted, and the error says which pin the center offers."""
    async with AsyncCenter(tls.api.url, token="t") as center:
        assert not await center.is_trusted()
        with pytest.raises(WrongCertificate) as caught:
            await center.session()
    assert tls.pin in caught.value.detail
    assert all("Authorization" not in request.headers for request in tls.api.requests)


async def test_a_center_with_a_new_authority_is_told_from_the_pinned_one(tls: Tls) -> None:
    """The error names the pinned and the seen pin, and what to do."""
    old = trustme.CA().cert_pem.bytes().decode()
    async with AsyncCenter(tls.api.url, authority=old, token="t") as center:
        with pytest.raises(WrongCertificate) as caught:
            await center.session()
    assert caught.value.fields["seen"] == [tls.pin]
    assert caught.value.fields["pinned"] == [read_authorities(old)[0].pin]
    assert f"--pin {tls.pin}" in caught.value.detail
    assert all("Authorization" not in request.headers for request in tls.api.requests)


async def test_a_certificate_for_another_name_is_refused() -> None:
    """The right authority is not enough: the name has to fit too."""
    tls = await served("elsewhere.example")
    try:
        async with AsyncCenter(tls.api.url, authority=tls.pem) as center:
            with pytest.raises(WrongCertificate, match="for this address"):
                await center.session()
    finally:
        await tls.api.stop()


def test_a_broken_authority_is_refused() -> None:
    """A PEM text without a usable certificate is refused with a sentence."""
    with pytest.raises(Invalid):
        read_authorities("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n")
    assert read_authorities("no certificate") == []
