"""Promises of outrider.engines.files.packing and unpacking: what goes in comes out, and nothing leads out."""

import gzip
import io
import os
import shutil
import stat
import subprocess
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.domain.errors import Invalid, OutriderError
from outrider.domain.file_errors import FileExists, PathRefused
from outrider.domain.files import Packed, Placing
from outrider.engines.files.packing import Packing
from outrider.engines.files.rooted import Roots
from outrider.engines.files.unfinished import Unfinished
from outrider.engines.files.unpacking import Unpacking

_MEGABYTE: Final = 1024 * 1024
_TAR: Final = shutil.which("tar") or "tar"


def pack(folder: Path) -> bytes:
    """Pack a folder."""
    packing = Packing(Roots(), str(folder))
    try:
        return b"".join(packing.blocks())
    finally:
        packing.close()


def unpack(archive: bytes, dest: Path, roots: Roots | None = None, **placing: Any) -> Packed:
    """Unpack an archive below `dest`; nothing of ours may be left there."""
    records = dest.parent / "records"
    unpacking = Unpacking(roots or Roots(), Unfinished(records), str(dest))
    try:
        return unpacking.run(io.BytesIO(archive), Placing(**placing))
    finally:
        unpacking.close()
        assert not list(dest.rglob(".outrider-*"))
        assert not list(records.iterdir())


def tar_of(*members: tuple[dict[str, Any], bytes], mode: Callable[[bytes], bytes] = gzip.compress) -> bytes:
    """Make an archive of members as they are told, also such that no program would make."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for facts, content in members:
            info = tarfile.TarInfo()
            info.size = len(content)
            for name, value in facts.items():
                setattr(info, name, value)
            archive.addfile(info, io.BytesIO(content))
    return mode(made.getvalue())


def tree_of(folder: Path) -> dict[str, tuple[str, int, bytes | str]]:
    """Return what is in a folder: kinds, permissions, contents and targets."""
    found: dict[str, tuple[str, int, bytes | str]] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", 0, str(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder", stat.S_IMODE(path.stat().st_mode), b"")
        else:
            found[name] = ("file", stat.S_IMODE(path.stat().st_mode), path.read_bytes())
    return found


_names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40
).filter(lambda name: name not in {".", ".."} and len(name.encode()) < 200)  # fmt: skip
_leaves = st.binary(max_size=2000) | st.builds("link:{}".format, _names)
_folders = st.recursive(_leaves, lambda below: st.dictionaries(_names, below, max_size=3))
_trees = st.dictionaries(_names, _folders, max_size=5)


def _make(folder: Path, tree: dict[str, Any]) -> None:
    folder.mkdir()
    for name, what in tree.items():
        if isinstance(what, dict):
            _make(folder / name, what)
        elif isinstance(what, bytes):
            (folder / name).write_bytes(what)
            (folder / name).chmod(0o600 + len(what) % 0o100)
        else:
            (folder / name).symlink_to(what.removeprefix("link:"))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tree=_trees)
def test_a_folder_comes_out_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]
) -> None:
    """Names, contents, permissions and links, however odd; each file has its time."""
    base = tmp_path_factory.mktemp("round")
    _make(base / "from", tree)
    (base / "to").mkdir()
    packed = unpack(pack(base / "from"), base / "to")
    assert tree_of(base / "to" / "from") == tree_of(base / "from")
    assert packed.left_out_total == 0
    for path in (base / "from").rglob("*"):
        if path.is_file() and not path.is_symlink():
            other = base / "to" / "from" / path.relative_to(base / "from")
            assert int(other.stat().st_mtime) == int(path.stat().st_mtime)


def test_names_that_are_no_text_come_out(tmp_path: Path) -> None:
    """Bytes as they are, also long ones."""
    (tmp_path / "from").mkdir()
    for name in (b"\xff\xfe", b"\xe4" * 200):
        Path(os.fsdecode(bytes(tmp_path / "from") + b"/" + name)).write_bytes(name)
    (tmp_path / "to").mkdir()
    unpack(pack(tmp_path / "from"), tmp_path / "to")
    assert tree_of(tmp_path / "to" / "from") == tree_of(tmp_path / "from")


def test_holes_stay_holes(tmp_path: Path) -> None:
    """At the beginning, in the middle and at the end; tar reads the same."""
    source = tmp_path / "from"
    source.mkdir()
    with (source / "sparse").open("wb") as file:
        for position in (3, 9, 40):
            file.seek(position * _MEGABYTE)
            file.write(os.urandom(5000))
        file.truncate(64 * _MEGABYTE)
    with (source / "empty").open("wb") as file:
        file.truncate(8 * _MEGABYTE)
    (source / "after").write_bytes(b"after")
    archive = pack(source)
    assert len(archive) < _MEGABYTE
    (tmp_path / "to").mkdir()
    unpack(archive, tmp_path / "to")
    assert tree_of(tmp_path / "to" / "from") == tree_of(source)
    assert (tmp_path / "to/from/sparse").stat().st_blocks * 512 < 2 * _MEGABYTE
    (tmp_path / "tar").mkdir()
    subprocess.run([_TAR, "-xzf", "-", "-C", str(tmp_path / "tar")], input=archive, check=True)
    assert tree_of(tmp_path / "tar" / "from") == tree_of(source)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    """FIFOs are left out when a folder is packed, and the archive says so to who unpacks it."""
    (tmp_path / "from").mkdir()
    os.mkfifo(tmp_path / "from/fifo")
    (tmp_path / "from/file").write_bytes(b"x")
    (tmp_path / "to").mkdir()
    packed = unpack(pack(tmp_path / "from"), tmp_path / "to")
    assert [each.name.rpartition("/")[2] for each in packed.left_out] == ["fifo"]
    assert list(tree_of(tmp_path / "to/from")) == ["file"]


@pytest.mark.parametrize(
    "name",
    ["../out", "/etc/out", "in/../../out", "in/..", "..", "./../out", "a/" * 300 + "x"],
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    """Whatever the member is: nothing is written."""
    dest = tmp_path / "to"
    for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE):
        dest.mkdir(exist_ok=True)
        facts = {"name": name, "type": kind, "linkname": "x"}
        with pytest.raises((PathRefused, Invalid)):
            unpack(tar_of((facts, b"")), dest)
        assert tree_of(dest) == {}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["/etc", "..", "../out", "."])
def test_links_of_the_archive_lead_nowhere(tmp_path: Path, target: str) -> None:
    """A link may point anywhere; no later member goes through it, and a file replaces it."""
    (tmp_path / "to").mkdir()
    (tmp_path / "out").mkdir()
    link = ({"name": "link", "type": tarfile.SYMTYPE, "linkname": target}, b"")
    with pytest.raises(PathRefused, match="no folder"):
        unpack(tar_of(link, ({"name": "link/new"}, b"x")), tmp_path / "to")
    with pytest.raises(OutriderError):
        unpack(tar_of(link, ({"name": "link", "type": tarfile.DIRTYPE}, b"")), tmp_path / "to")
    assert list((tmp_path / "out").iterdir()) == []
    unpack(tar_of(link, ({"name": "link"}, b"x")), tmp_path / "to")
    assert (tmp_path / "to/link").read_bytes() == b"x"
    assert not (tmp_path / "to/link").is_symlink()


@pytest.mark.parametrize(
    "facts",
    [
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.BLKTYPE, "devmajor": 8},
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "file"},
    ],
)
def test_devices_and_hard_links_are_left_out(tmp_path: Path, facts: dict[str, Any]) -> None:
    """They are named; what comes behind them arrives."""
    (tmp_path / "to").mkdir()
    packed = unpack(tar_of(({"name": "odd", **facts}, b""), ({"name": "file"}, b"x")), tmp_path / "to")
    assert [each.name for each in packed.left_out] == ["odd"]
    assert list(tree_of(tmp_path / "to")) == ["file"]


def test_special_bits_do_not_travel(tmp_path: Path) -> None:
    """No archive makes a program of root."""
    (tmp_path / "to").mkdir()
    unpack(tar_of(({"name": "program", "mode": 0o6755}, b"x")), tmp_path / "to")
    assert stat.S_IMODE((tmp_path / "to/program").stat().st_mode) == 0o755


def test_names_that_come_twice(tmp_path: Path) -> None:
    """The last one counts; where nothing is to be overwritten, the first one stays."""
    (tmp_path / "to").mkdir()
    twice = tar_of(({"name": "file"}, b"first"), ({"name": "file"}, b"second"))
    unpack(twice, tmp_path / "to")
    assert (tmp_path / "to/file").read_bytes() == b"second"
    (tmp_path / "to/file").unlink()
    with pytest.raises(FileExists):
        unpack(twice, tmp_path / "to", overwrite=False)
    assert (tmp_path / "to/file").read_bytes() == b"first"


def test_folders_that_may_only_be_read_hold(tmp_path: Path) -> None:
    """Also below the folder that may be written to."""
    (tmp_path / "to/kept").mkdir(parents=True)
    roots = Roots([str(tmp_path)], [str(tmp_path / "to/kept")], rule="The policy")
    with pytest.raises(PathRefused, match="only be read"):
        unpack(tar_of(({"name": "kept/new"}, b"x")), tmp_path / "to", roots)
    assert tree_of(tmp_path / "to/kept") == {}


def _sparse_map(*numbers: int, stored: bytes = b"", real: int = 0) -> bytes:
    table = "".join(f"{number}\n" for number in numbers).encode()
    table += bytes(-len(table) % 512)
    said = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse"}
    pax = {"pax_headers": {**said, "GNU.sparse.realsize": str(real)}}
    return tar_of(
        ({"name": "x/GNUSparseFile.0/sparse", **pax}, table + stored), ({"name": "next"}, b"y" * 5000)
    )


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(_sparse_map(1, 0, 5000, stored=b"x" * 10, real=5000), id="takes in what follows"),
        pytest.param(_sparse_map(2, 0, 10, 5, 10, stored=b"x" * 20, real=100), id="overlaps"),
        pytest.param(_sparse_map(1, -5, 5, stored=b"x" * 5, real=5), id="begins before its begin"),
        pytest.param(_sparse_map(1, 5, -5, stored=b"x" * 5, real=5), id="less than nothing"),
        pytest.param(_sparse_map(1, 0, 100, stored=b"x" * 100, real=5), id="beyond its own end"),
        pytest.param(_sparse_map(10**6, 0, 1), id="a million pieces"),
    ],
)
def test_broken_maps_of_holes_are_refused(tmp_path: Path, archive: bytes) -> None:
    """A map that leads out of its own member is no map."""
    (tmp_path / "to").mkdir()
    with pytest.raises(Invalid):
        unpack(archive, tmp_path / "to")
    assert "next" not in tree_of(tmp_path / "to")


def _bomb(head: bytes, block: bytes, count: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(head)]
    pieces += [packer.compress(block) for _ in range(count)]
    return b"".join([*pieces, packer.flush()])


def _head_of(kind: bytes, stored: int, /, **pax: str) -> bytes:
    info = tarfile.TarInfo("member")
    info.type, info.size = kind, stored
    info.pax_headers = dict(pax)
    return info.tobuf(tarfile.PAX_FORMAT)


def _endless_map() -> bytes:
    said = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    return _bomb(_head_of(tarfile.REGTYPE, 2**40, **said) + b"999999999\n", b"1000000\n" * 125_000, 20)


def _endless_names() -> bytes:
    return _bomb(b"", _head_of(tarfile.GNUTYPE_LONGNAME, 512) + b"x" * 512, 8_000)


def _endless_pax() -> bytes:
    pieces = []
    for number in range(60):
        line = f"{number:06}=" + "x" * 500_000 + "\n"
        record = f"{len(line) + 7} {line}".encode()
        info = tarfile.TarInfo("pax")
        info.type, info.size = tarfile.XGLTYPE, len(record)
        pieces.append(info.tobuf() + record + bytes(-len(record) % 512))
        pieces.append(_head_of(tarfile.DIRTYPE, 0))
    return gzip.compress(b"".join(pieces), 1)


@pytest.mark.parametrize(
    "make",
    [
        _endless_map,
        _endless_names,
        _endless_pax,
        lambda: _bomb(_head_of(tarfile.GNUTYPE_LONGNAME, 2**33), bytes(_MEGABYTE), 20),
        lambda: _bomb(_head_of(tarfile.CHRTYPE, 0, size=str(2**60)), bytes(_MEGABYTE), 20),
        lambda: _bomb(_head_of(tarfile.DIRTYPE, 0), bytes(1024) + bytes(_MEGABYTE), 20),
    ],
    ids=["map of holes", "names", "pax", "one name", "size of a device", "behind the end"],
)
def test_bombs_are_refused_with_bounded_memory(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """What a few bytes spell out without end is not read to its end, nor held."""
    (tmp_path / "to").mkdir()
    bomb = make()
    tracemalloc.start()
    try:
        with pytest.raises(Invalid):
            unpack(bomb, tmp_path / "to")
        assert tracemalloc.get_traced_memory()[1] < 60 * _MEGABYTE + len(bomb)
    finally:
        tracemalloc.stop()


def _whole() -> bytes:
    return tar_of(({"name": "one"}, os.urandom(3000)), ({"name": "two"}, os.urandom(3000)))


@given(cut=st.integers(1, 6000))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_archive_that_breaks_off_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """At whatever byte; each file that is there is whole."""
    whole = _whole()
    dest = tmp_path_factory.mktemp("cut") / "to"
    dest.mkdir()
    with pytest.raises(Invalid):
        unpack(whole[: -min(cut, len(whole))], dest)
    assert {size for path in dest.iterdir() for size in [path.stat().st_size]} <= {3000}


def test_what_is_broken_is_refused(tmp_path: Path) -> None:
    """A changed byte of the content, a broken head behind the first member, and what is no archive at all."""
    (tmp_path / "to").mkdir()
    whole = bytearray(gzip.decompress(_whole()))
    packed = bytearray(gzip.compress(bytes(whole)))
    packed[-6] ^= 1  # its sum
    whole[512 + 3072 + 10] ^= 1  # the second head
    for broken in (bytes(packed), gzip.compress(bytes(whole)), b"", b"x" * 2000, gzip.compress(b"x" * 2000)):
        with pytest.raises(Invalid):
            unpack(broken, tmp_path / "to")


def test_several_gzips_are_one_archive(tmp_path: Path) -> None:
    """As parallel packers write them; zeros behind them count for nothing."""
    (tmp_path / "to").mkdir()
    plain = gzip.decompress(_whole())
    parts = [plain[at : at + 700] for at in range(0, len(plain), 700)]
    unpack(b"".join(map(gzip.compress, parts)) + bytes(5000), tmp_path / "to")
    assert {path.name for path in (tmp_path / "to").iterdir()} == {"one", "two"}
