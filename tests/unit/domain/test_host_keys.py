"""Host keys: as OpenSSH writes them, in every way a person may give one, and nothing else."""

import base64
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.host_keys import (
    MOST_TEXT,
    BadHostKey,
    HostKey,
    normal_host,
    parse_pinned,
    parse_public_key,
    place_of,
)

# Made by ssh-keygen, whose -l printed the fingerprints.
ED25519: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP54jl+PBNm+O2OuKMIzlcz6W/Qb8GRvB9ZvBzqD3CcA"
BLOB: Final = base64.b64decode(ED25519.split()[1])
RSA_BLOB: Final = b"\0\0\0\x07ssh-rsa" + b"\0\0\0\x03\x01\0\x01" + b"\0\0\0\x02\x7f\x01"
RSA: Final = f"ssh-rsa {base64.b64encode(RSA_BLOB).decode()}"


def test_a_key_has_the_text_and_the_fingerprint_of_openssh() -> None:
    """What people compare is what `ssh-keygen -l` prints."""
    key = parse_public_key(ED25519)
    assert key.algorithm == "ssh-ed25519"
    assert key.text == ED25519
    assert key.fingerprint.startswith("SHA256:")
    assert len(key.fingerprint) == 50


@pytest.mark.parametrize(
    "text",
    [
        ED25519,
        f"{ED25519} root@host",
        f"host.example {ED25519}",
        f"[host.example]:2222,10.0.0.1 {ED25519} a comment",
        f"|1|c2FsdA==|aGFzaA== {ED25519}",
        HostKey(BLOB).fingerprint,
        HostKey(BLOB).fingerprint + "=",
        f"# host:22 SSH-2.0-OpenSSH\n\n{ED25519}\n",
    ],
)
def test_a_key_is_recognised_however_it_is_given(text: str) -> None:
    """A line of known_hosts, hashed or not, a public key, a fingerprint, the output of ssh-keyscan."""
    pinned = parse_pinned(text)
    assert pinned.admits(HostKey(BLOB))
    assert not pinned.admits(HostKey(RSA_BLOB))


def test_of_several_keys_each_is_admitted() -> None:
    """A host has a key for each algorithm; which are given whole says what to ask it for first."""
    pinned = parse_pinned(f"host {RSA}\nhost {ED25519}\n")
    assert pinned.admits(HostKey(BLOB))
    assert pinned.admits(HostKey(RSA_BLOB))
    assert pinned.algorithms == ("ssh-rsa", "ssh-ed25519")


def test_beside_a_fingerprint_any_algorithm_may_be_meant() -> None:
    """Nobody knows of which kind a key is whose fingerprint alone is given."""
    assert parse_pinned(f"{ED25519}\n{HostKey(RSA_BLOB).fingerprint}").algorithms == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a comment",
        "ssh-ed25519",
        "ssh-ed25519 not-base64!",
        f"ssh-rsa {ED25519.split()[1]}",
        "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        "SHA256:tooshort",
        f"@cert-authority *.example {ED25519}",
        f"@revoked host {ED25519}",
        "ssh-ed25519 " + base64.b64encode(b"\xff\xff\xff\xff" + b"x" * 10).decode(),
        "x" * (MOST_TEXT + 1),
        "\n".join([ED25519] * 33),
    ],
)
def test_what_names_no_key_is_refused(text: str) -> None:
    """Nothing is taken for a key that could not be one, and a marker is not silently passed over."""
    with pytest.raises(BadHostKey):
        parse_pinned(text)


@given(st.text(max_size=200))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    """No text makes the parser fail otherwise."""
    try:
        pinned = parse_pinned(text)
    except BadHostKey:
        return
    assert pinned.fingerprints


@given(st.binary(max_size=100))
def test_any_blob_has_an_algorithm_or_none(blob: bytes) -> None:
    """A host sends what it likes: what is no key has no algorithm, and still a fingerprint."""
    key = HostKey(blob)
    assert key.algorithm.isprintable()
    assert len(key.fingerprint) == 50


def test_a_host_is_remembered_by_one_name() -> None:
    """Writing it otherwise does not let another key in."""
    assert normal_host("Web-01.Example.") == "web-01.example"
    assert normal_host("[FE80::1%eth0]") == "fe80::1%eth0"


def test_a_place_is_named_with_its_port_and_way() -> None:
    """People see where a host is, and behind which other one."""
    assert place_of("10.0.0.1", 22) == "10.0.0.1:22"
    assert place_of("fe80::1", 2222, ["jump:22"]) == "[fe80::1]:2222 via jump:22"
