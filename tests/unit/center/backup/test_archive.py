"""The backup's file: what was written is read, and nothing else is."""

import gzip
import io
import tarfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.center.backup import archive
from outrider.center.backup.archive import Header, Manifest
from outrider.center.backup.encryption import COST, MAGIC, Opening, Sealing
from outrider.center.backup.errors import BackupDamaged, BackupRefused

_HEADER = Header(format=1, release="1", revision="0001", epoch="e", dialect="sqlite", host="h", created=1.0)
# What the cost protects against is not what a test that opens a hundred times asks about.
_CHEAP = 4
_SHARED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15
)


def written(
    file: Path, members: dict[str, bytes], passphrase: bytes | None = None, *, cost: int = COST
) -> Manifest:
    """Write a backup of these members."""
    with archive.writing(file, passphrase, cost=cost) as target:
        target.add(archive.HEADER, msgspec.json.encode(_HEADER))
        for name, data in members.items():
            target.add(name, data)
        manifest = Manifest(header=_HEADER, members=dict(target.members), rows={}, missing=[])
        target.finish(manifest)
    return manifest


def read(file: Path, passphrase: bytes | None = None) -> dict[str, bytes]:
    """Read all members."""
    with archive.reading(file, passphrase) as members:
        return {member.name: member.bytes() for member in members}


@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_what_was_written_is_read(tmp_path: Path, passphrase: bytes | None) -> None:
    """Names of any length, contents of any size, in order."""
    members = {"blobs/" + "k" * 500: b"", "keys/x": b"\0" * 700_000, "tables/t/000001.msgpack": b"row"}
    manifest = written(tmp_path / "b", members, passphrase)
    found = read(tmp_path / "b", passphrase)
    assert list(found) == [archive.HEADER, *members, archive.MANIFEST]
    assert {name: found[name] for name in members} == members
    assert archive.check(tmp_path / "b", passphrase) == manifest


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """It holds every secret of the center."""
    written(tmp_path / "b", {})
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_any_tar_program_reads_one_that_is_not_sealed(tmp_path: Path) -> None:
    """No program of ours is needed to get at what is one's own."""
    written(tmp_path / "b", {"keys/x": b"secret"})
    with tarfile.open(tmp_path / "b", "r:gz") as unpacked:
        assert unpacked.getnames() == [archive.HEADER, "keys/x", archive.MANIFEST]
        content = unpacked.extractfile("keys/x")
        assert content is not None
        assert content.read() == b"secret"


def test_a_sealed_one_tells_nothing(tmp_path: Path) -> None:
    """Without the passphrase it says so; with a wrong one too."""
    written(tmp_path / "b", {"keys/x": b"secret"}, b"right")
    assert b"secret" not in (tmp_path / "b").read_bytes()
    with pytest.raises(BackupRefused, match="passphrase-file"):
        archive.check(tmp_path / "b", None)
    with pytest.raises(BackupDamaged, match="passphrase"):
        archive.check(tmp_path / "b", b"wrong")


def test_a_passphrase_for_one_that_is_not_sealed_does_no_harm(tmp_path: Path) -> None:
    """It is simply not needed."""
    manifest = written(tmp_path / "b", {})
    assert archive.check(tmp_path / "b", b"x") == manifest


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """An older backup is worth more than a newer one's name."""
    (tmp_path / "b").write_bytes(b"mine")
    with pytest.raises(BackupRefused, match="there already"):
        written(tmp_path / "b", {})
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_bytes() == b"mine"


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """There is either a whole backup or none."""

    def fail() -> None:
        with archive.writing(tmp_path / "b", None) as target:
            target.begin("blobs/x", 10)
            target.write(b"short")
            target.end()

    with pytest.raises(BackupRefused, match="changed while it was read"):
        fail()
    assert list(tmp_path.iterdir()) == []


@_SHARED
@given(data=st.data())
@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_any_changed_byte_is_found(tmp_path: Path, passphrase: bytes | None, data: st.DataObject) -> None:
    """Wherever a disk or a person changes it, it is refused as damaged."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    if not good.exists():
        written(good, {"keys/x": bytes(range(256)) * 40, "blobs/y": b"y" * 5000}, passphrase, cost=_CHEAP)
    content = bytearray(good.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    bad.write_bytes(content)
    try:
        archive.check(bad, passphrase)
    except (BackupDamaged, BackupRefused):
        return
    # The head of gzip holds bytes that mean nothing: its time and its system.
    assert passphrase is None
    assert place < 10


@_SHARED
@given(data=st.data())
@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_any_cut_is_found(tmp_path: Path, passphrase: bytes | None, data: st.DataObject) -> None:
    """A disk that was full, a copy that broke off."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    if not good.exists():
        written(good, {"keys/x": bytes(range(256)) * 40, "blobs/y": b"y" * 5000}, passphrase, cost=_CHEAP)
    content = good.read_bytes()
    bad.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises((BackupDamaged, BackupRefused)):
        archive.check(bad, passphrase)


def _tar(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as target:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0" * 5000, id="zeros"),
        pytest.param(MAGIC, id="sealed, without an end"),
        pytest.param(gzip.compress(b"no tar"), id="no tar"),
        pytest.param(_tar(), id="an empty tar"),
        pytest.param(_tar(("etc/passwd", b"x")), id="another tar"),
        pytest.param(_tar((archive.HEADER, b"{}")), id="an empty header"),
        pytest.param(_tar((archive.HEADER, msgspec.json.encode(_HEADER))), id="a header alone"),
    ],
)
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever else somebody names; nothing of it is unpacked."""
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(BackupDamaged):
        archive.check(tmp_path / "b", b"x")


def test_another_format_names_the_release_that_made_it(tmp_path: Path) -> None:
    """A person has to know which release reads it."""
    header = msgspec.structs.replace(_HEADER, format=2, release="9.9")
    (tmp_path / "b").write_bytes(_tar((archive.HEADER, msgspec.json.encode(header))))
    with pytest.raises(BackupRefused, match=r"9\.9"):
        archive.check(tmp_path / "b", None)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.integers(0, 150_000), max_size=4), st.integers(1, 100_000))
def test_sealing_keeps_every_byte(sizes: list[int], step: int) -> None:
    """However it is cut into writes and reads, also at the bounds of chunks."""
    sealed = io.BytesIO()
    sealing = Sealing(sealed, b"p", cost=_CHEAP)
    content = b"".join(bytes([n % 256]) * size for n, size in enumerate([*sizes, 65_536]))
    for start in range(0, len(content), step):
        sealing.write(content[start : start + step])
    sealing.close()
    sealed.seek(len(MAGIC))
    opening = Opening(sealed, b"p")
    parts = []
    while part := opening.read(step):
        parts.append(part)
    assert b"".join(parts) == content


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_head_that_says_too_much_is_not_read(tmp_path: Path, kind: bytes) -> None:
    """Heads are held in memory: a few kilobytes of gzip must not become gigabytes there."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 8 * 1024**3
    (tmp_path / "bomb").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(BackupDamaged, match="larger than any"):
        archive.check(tmp_path / "bomb", None)


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    """A backup of ours has none."""
    info = tarfile.TarInfo("backup.json")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    (tmp_path / "sparse").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(BackupDamaged, match="is no file"):
        archive.check(tmp_path / "sparse", None)
