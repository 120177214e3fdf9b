"""What is typed after `outrider deploy`, read."""

from pathlib import Path

import pytest

from outrider.cli.deploy import _is_locked, _labels, _read_key, parse_place
from outrider.domain.errors import Invalid
from tests.fixtures.ssh_host import KEY, locked_key


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("web-01", ("root", "web-01", 22)),
        ("ubuntu@10.0.0.5", ("ubuntu", "10.0.0.5", 22)),
        ("web-01:2222", ("root", "web-01", 2222)),
        ("ubuntu@[fe80::1%eth0]:2222", ("ubuntu", "fe80::1%eth0", 2222)),
        ("[2001:db8::1]", ("root", "2001:db8::1", 22)),
    ],
)
def test_a_place(text: str, place: tuple[str, str, int]) -> None:
    """User and port are the options' where the host does not say them."""
    assert parse_place(text, "root", 22) == place


@pytest.mark.parametrize("text", ["", "@host", "a b", "host:0", "host:70000", "user@", "host:port"])
def test_what_is_no_place(text: str) -> None:
    """It is refused before anything is asked."""
    with pytest.raises(Invalid):
        parse_place(text, "root", 22)


def test_labels() -> None:
    """None, one a host, or one with the host's name in it."""
    assert _labels(("a", "b"), []) == ["", ""]
    assert _labels(("a", "b"), ["x", "y"]) == ["x", "y"]
    assert _labels(("u@a:1", "b"), ["lab-{host}"]) == ["lab-a", "lab-b"]
    with pytest.raises(Invalid):
        _labels(("a", "b"), ["x"])


def test_a_key_with_a_passphrase_is_recognised() -> None:
    """Its passphrase is asked for before it is sent."""
    assert not _is_locked(KEY)
    assert _is_locked(locked_key())
    assert _is_locked("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n")
    assert not _is_locked("-----BEGIN PRIVATE KEY-----\n!\n")


def test_only_a_private_key_is_sent(tmp_path: Path) -> None:
    """A public key, a picture, or nothing at all is named as what it is not."""
    for name, content in (("id.pub", b"ssh-ed25519 AAAA"), ("picture", b"\xff\xd8"), ("big", b"x" * 70_000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Invalid, match="no private key"):
            _read_key(tmp_path / name)
    with pytest.raises(Invalid, match="No such file"):
        _read_key(tmp_path / "missing")
