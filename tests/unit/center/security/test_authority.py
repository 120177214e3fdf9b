"""The authority's folder: made once, read again, repaired, rotated, refused."""

from __future__ import annotations

import datetime as dt
import shutil
import stat
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from outrider.center.security.authority import CertificateAuthority, ServerCertificate, load_supplied
from outrider.center.security.certificates import CertificateRefused, der_of
from outrider.center.security.sealing import MasterKey, SealBroken, Sealer
from outrider.domain.enrolment import pin_of

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0
START = 1_900_000_000.0
SEALER = Sealer(MasterKey(bytes(32)))
NAMES = ["center.example.org", "127.0.0.1"]


def opened(folder: Path, *, at: float = START, sealer: Sealer = SEALER) -> CertificateAuthority:
    """The authority in this folder at this time."""
    return CertificateAuthority.load_or_create(folder, sealer, lambda: at)


def mode(path: Path) -> int:
    """A file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def leaf(server: ServerCertificate) -> x509.Certificate:
    """The certificate that names the server."""
    return x509.load_pem_x509_certificates(server.chain)[0]


def test_the_first_start_makes_an_authority_that_later_starts_use(tmp_path: Path) -> None:
    """Same pins each time; the pin is that of the public file; the key's file is for its owner alone."""
    made = opened(tmp_path / "tls")
    assert opened(tmp_path / "tls").pins() == made.pins()
    [certificate] = x509.load_pem_x509_certificates((tmp_path / "tls" / "ca.pem").read_bytes())
    assert made.pins() == {pin_of(der_of(certificate))}
    assert made.chain_pem() == (tmp_path / "tls" / "ca.pem").read_bytes()
    assert mode(tmp_path / "tls" / "ca.pem") == 0o644
    assert mode(tmp_path / "tls" / "ca.key.sealed") == 0o600
    assert made.not_after == dt.datetime.fromtimestamp(START, dt.UTC) + dt.timedelta(days=3650)


def test_no_private_key_lies_open_on_the_disk(tmp_path: Path) -> None:
    """Both keys are sealed: no file holds a readable one."""
    opened(tmp_path).issue_server(NAMES)
    assert not [path for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]


def test_a_crash_before_the_public_copy_is_repaired(tmp_path: Path) -> None:
    """Only the sealed file was written: the same authority comes up, with its copy."""
    made = opened(tmp_path)
    (tmp_path / "ca.pem").unlink()
    assert opened(tmp_path).pins() == made.pins()
    assert (tmp_path / "ca.pem").read_bytes() == made.chain_pem()


def test_a_lost_key_never_makes_a_new_authority_by_itself(tmp_path: Path) -> None:
    """Hosts trust the old one: the owner is told and decides."""
    opened(tmp_path)
    (tmp_path / "ca.key.sealed").unlink()
    with pytest.raises(CertificateRefused, match="from a backup"):
        opened(tmp_path)


def test_another_master_key_never_makes_a_new_authority(tmp_path: Path) -> None:
    """The wrong master key is an error that says so, and changes nothing."""
    made = opened(tmp_path)
    with pytest.raises(SealBroken, match="another master key"):
        opened(tmp_path, sealer=Sealer(MasterKey(bytes([1]) * 32)))
    assert opened(tmp_path).pins() == made.pins()


def test_a_new_master_key_seals_the_authority_again(tmp_path: Path) -> None:
    """After one start with both keys, the old master key is no longer needed."""
    made = opened(tmp_path)
    opened(tmp_path, sealer=Sealer(MasterKey(bytes([1]) * 32, previous=(bytes(32),))))
    assert opened(tmp_path, sealer=Sealer(MasterKey(bytes([1]) * 32))).pins() == made.pins()


def test_a_server_certificate_is_used_again_until_it_is_nearly_over(tmp_path: Path) -> None:
    """Same certificate on the next start; a new one when 30 days are left."""
    first = opened(tmp_path).issue_server(NAMES)
    assert opened(tmp_path, at=START + 365 * DAY).issue_server(NAMES) == first
    renewed = opened(tmp_path, at=START + 366 * DAY).issue_server(NAMES)
    assert renewed.not_after > first.not_after
    assert opened(tmp_path, at=START + 366 * DAY).issue_server(NAMES) == renewed


def test_other_names_make_another_server_certificate(tmp_path: Path) -> None:
    """The names decide, not their order or case."""
    authority = opened(tmp_path)
    first = authority.issue_server(NAMES)
    assert authority.issue_server(["127.0.0.1", "CENTER.example.org"]) == first
    other = authority.issue_server([*NAMES, "::1"])
    assert other != first
    assert other.names == {*NAMES, "::1"}


def test_a_server_certificate_needs_names(tmp_path: Path) -> None:
    """Nothing to serve under, or a text that is no name, is refused."""
    authority = opened(tmp_path)
    with pytest.raises(CertificateRefused, match="at least one name"):
        authority.issue_server([])
    with pytest.raises(CertificateRefused, match="neither"):
        authority.issue_server(["https://center"])


def test_the_servers_public_copy_is_repaired(tmp_path: Path) -> None:
    """A crash between the sealed file and its copy leaves the sealed one in force."""
    first = opened(tmp_path).issue_server(NAMES)
    (tmp_path / "server.pem").write_bytes(b"stale")
    assert opened(tmp_path).issue_server(NAMES) == first
    assert (tmp_path / "server.pem").read_bytes() == first.chain


def test_a_rotated_authority_pins_and_shows_both(tmp_path: Path) -> None:
    """New first; the certificate of the server changes hands; the same after a restart."""
    old = opened(tmp_path)
    before = old.issue_server(NAMES)
    new = old.rotate()
    assert new.pins() > old.pins()
    assert new.chain_pem().endswith(old.chain_pem())
    assert (tmp_path / "ca.previous.pem").read_bytes() == old.chain_pem()
    after = new.issue_server(NAMES)
    assert after != before
    assert opened(tmp_path).pins() == new.pins()
    assert opened(tmp_path).issue_server(NAMES) == after


def test_a_rotation_ends_when_the_previous_authority_is_removed(tmp_path: Path) -> None:
    """Without ca.previous.pem only the new one is pinned, and the server's chain is the leaf alone."""
    new = opened(tmp_path).rotate()
    new.issue_server(NAMES)
    (tmp_path / "ca.previous.pem").unlink()
    done = opened(tmp_path)
    assert len(done.pins()) == 1
    assert done.pins() < new.pins()
    assert len(x509.load_pem_x509_certificates(done.issue_server(NAMES).chain)) == 1


@pytest.mark.parametrize("written", [["ca.previous.pem"], ["ca.previous.pem", "ca.key.sealed"]])
def test_a_rotation_cut_anywhere_leaves_an_authority(written: list[str], tmp_path: Path) -> None:
    """With any first part of its files written, the center starts and the old authority is still pinned."""
    folder, whole = tmp_path / "cut", tmp_path / "whole"
    old = opened(folder)
    shutil.copytree(folder, whole)
    opened(whole).rotate()
    for name in written:
        shutil.copy(whole / name, folder / name)
    assert old.pins() <= opened(folder).pins()
    assert opened(folder).chain_pem().startswith((folder / "ca.pem").read_bytes())


def supplied_files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A certificate, its key and its authority as an owner would hand them over."""
    authority = opened(tmp_path / "theirs")
    server = authority.issue_server(["center.example.org", "*.apps.example.org"])
    cert, key, ca = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    cert.write_bytes(server.chain)
    key.write_bytes(server.key)
    ca.write_bytes(authority.chain_pem())
    return cert, key, ca


def test_a_supplied_certificate_is_served_and_its_authority_pinned(tmp_path: Path) -> None:
    """With an authority named, hosts pin it; without one, they trust their system's."""
    cert, key, ca = supplied_files(tmp_path)
    pinned = load_supplied(cert, key, ca, clock_time=lambda: START)
    assert pinned.pins() == opened(tmp_path / "theirs").pins()
    assert pinned.chain_pem() == ca.read_bytes()
    assert pinned.issue_server(NAMES).chain == cert.read_bytes()
    public = load_supplied(cert, key, None, clock_time=lambda: START)
    assert (public.pins(), public.chain_pem()) == (frozenset(), b"")


def test_names_a_certificate_does_not_cover_are_told(tmp_path: Path) -> None:
    """A wildcard covers one label, not two and not none."""
    cert, key, _ = supplied_files(tmp_path)
    server = load_supplied(cert, key, None, clock_time=lambda: START).issue_server([])
    asked = [
        "Center.example.org",
        "a.apps.example.org",
        "a.b.apps.example.org",
        "apps.example.org",
        "10.0.0.1",
    ]
    assert server.uncovered(asked) == {"a.b.apps.example.org", "apps.example.org", "10.0.0.1"}


def test_supplied_files_that_do_not_work_are_refused(tmp_path: Path) -> None:
    """Each trouble names its file: missing, no PEM, encrypted, of another certificate, not valid now."""
    cert, key, ca = supplied_files(tmp_path)
    other = tmp_path / "other.pem"
    other.write_bytes(opened(tmp_path / "theirs").issue_server(["other.example.org"]).key)
    encrypted = tmp_path / "encrypted.pem"
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    encrypted.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    for files, at, said in [
        ((tmp_path / "no.pem", key, None), START, r"can't read .*no\.pem"),
        ((key, key, None), START, r"key\.pem holds no certificate"),
        ((cert, key, key), START, r"key\.pem holds no certificate"),
        ((cert, ca, None), START, r"ca\.pem holds no private key"),
        ((cert, encrypted, None), START, r"encrypted\.pem is encrypted"),
        ((cert, other, None), START, r"other\.pem does not belong"),
        ((cert, key, None), START + 500 * DAY, r"cert\.pem is valid from"),
        ((cert, key, None), START - 2 * DAY, r"cert\.pem is valid from"),
    ]:
        with pytest.raises(CertificateRefused, match=said):
            load_supplied(*files, clock_time=partial(float, at))


def test_a_private_key_stays_out_of_the_repr(tmp_path: Path) -> None:
    """A certificate in a log line gives no key away."""
    assert "PRIVATE" not in repr(opened(tmp_path).issue_server(NAMES))


def test_the_leaf_is_backdated(tmp_path: Path) -> None:
    """A host whose clock is a little behind already takes a new certificate."""
    server = opened(tmp_path).issue_server(NAMES)
    assert leaf(server).not_valid_before_utc == dt.datetime.fromtimestamp(START - DAY, dt.UTC)
