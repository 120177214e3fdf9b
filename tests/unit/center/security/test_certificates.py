"""Names in certificates, and the certificates the center makes."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.center.security.certificates import (
    CertificateRefused,
    cross_sign,
    is_issued_by,
    make_authority,
    make_server,
    names_of,
    new_key,
    normal_names,
)

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Center.Example.ORG", "center.example.org"),
        ("center.example.org.", "center.example.org"),
        ("*.example.org", "*.example.org"),
        ("build_host", "build_host"),
        ("köln.de", "xn--kln-sna.de"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ],
)
def test_names_have_one_spelling(name: str, normal: str) -> None:
    """Whatever way a person writes a name, the certificate holds one form."""
    assert normal_names([name]) == {normal}


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a..b",
        "-a",
        "a-",
        "https://a",
        "a:8080",
        "*",
        "*.*.a",
        "a/b",
        "fe80::1%eth0",
        "x" * 64,
        "ü" * 80,
    ],
)
def test_other_texts_are_no_names(name: str) -> None:
    """A text no client could ask for is refused before it lands in a certificate."""
    with pytest.raises(CertificateRefused, match="neither a host name nor an IP address"):
        normal_names([name])


@given(st.text(max_size=80))
def test_a_normal_name_is_its_own_normal_form(name: str) -> None:
    """Normalising twice changes nothing; anything else is refused in one way."""
    try:
        once = normal_names([name])
    except CertificateRefused:
        return
    assert normal_names(once) == once


def test_a_server_certificate_is_for_its_names_and_never_outlives_its_authority() -> None:
    """397 days at most, less where the authority ends earlier."""
    authority_key, names = new_key(), frozenset({"center.example.org", "10.0.0.1", "::1"})
    authority = make_authority(authority_key, NOW)
    server = make_server(new_key(), names, authority_key, authority, NOW)
    assert names_of(server) == names
    assert server.not_valid_after_utc - server.not_valid_before_utc == dt.timedelta(days=397)
    assert is_issued_by(server, authority)
    late = make_server(new_key(), names, authority_key, authority, NOW + dt.timedelta(days=3600))
    assert late.not_valid_after_utc == authority.not_valid_after_utc


def test_a_cross_signed_authority_is_the_new_one_vouched_for_by_the_old() -> None:
    """Same name and key as the new authority, signed by the old one, and gone when the old one ends."""
    old_key, key = new_key(), new_key()
    old = make_authority(old_key, NOW)
    new = make_authority(key, NOW + dt.timedelta(days=100))
    cross = cross_sign(new, old_key, old, NOW + dt.timedelta(days=100))
    assert cross.subject == new.subject
    assert cross.public_key() == new.public_key()
    assert cross.not_valid_after_utc == old.not_valid_after_utc
    assert is_issued_by(cross, old)
    assert not is_issued_by(new, old)
    assert old.subject != new.subject
