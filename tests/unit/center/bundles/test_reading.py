"""The archive of a bundle, read: it is whole, or it is refused."""

import gzip
import hashlib
import io
import itertools
import tarfile
from collections.abc import Callable, Mapping

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.center.bundles.reading import check
from outrider.domain.bundles import BadBundle, BadTarget
from tests.fixtures.bundles import archive, content

FILES = {"a.py": b"a" * 700, "long/" * 40 + "b.so": bytes(range(256)) * 12, "empty.py": b""}
GOOD = content(FILES)
BYTES = archive(GOOD)
PLAIN = gzip.decompress(BYTES)
_QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def test_what_was_packed_is_read() -> None:
    """What it says of itself, its digest and its size."""
    checked = check(io.BytesIO(BYTES))
    assert checked.manifest == GOOD.manifest
    assert checked.packed.digest == hashlib.sha256(BYTES).hexdigest()
    assert checked.packed.size == len(BYTES)


@_QUICK
@given(st.integers(0, len(BYTES) - 1))
def test_one_that_was_cut_off_is_refused(size: int) -> None:
    """Wherever it ends."""
    with pytest.raises(BadBundle):
        check(io.BytesIO(BYTES[:size]))


@_QUICK
@given(st.integers(0, len(PLAIN) - 1))
def test_one_that_was_cut_off_and_packed_again_is_refused(size: int) -> None:
    """Files that are missing are missed, also where gzip has nothing to complain of."""
    end = len(PLAIN) - len(PLAIN.rstrip(b"\0"))
    with pytest.raises(BadBundle):
        check(io.BytesIO(gzip.compress(PLAIN[: min(size, len(PLAIN) - end)])))


@_QUICK
@given(st.data())
def test_a_changed_byte_is_found(data: st.DataObject) -> None:
    """In what is packed; a bundle that was changed on purpose is another one, with another build."""
    changed = bytearray(PLAIN)
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        found = check(io.BytesIO(gzip.compress(bytes(changed))))
    except (BadBundle, BadTarget):
        return
    # Fields that nothing depends on: a time, an owner, the padding.
    assert found.manifest.build == GOOD.manifest.build


@_QUICK
@given(st.binary(max_size=2000))
def test_any_file_is_a_bundle_or_refused(data: bytes) -> None:
    """With the one error, whatever it is; packed or not."""
    for each in (data, gzip.compress(data), BYTES + data + b"x"):
        with pytest.raises(BadBundle):
            check(io.BytesIO(each))


Member = tuple[tarfile.TarInfo, bytes]


def packed(*members: Member, manifest: bytes = GOOD.manifest.encode()) -> io.BytesIO:
    """Pack members behind a manifest."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", format=tarfile.PAX_FORMAT) as target:
        for info, data in ((tarfile.TarInfo("bundle.json"), manifest), *members):
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    sink.seek(0)
    return sink


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: str) -> Member:
    """Make a member."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info, b""


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "site/../../x",
        "/etc/x",
        "site",
        "site/",
        "site//x",
        "site/./x",
        "other/x",
        "site/a\nb",
        "bundle.json",
    ],
)
def test_a_file_that_would_lie_elsewhere_is_refused(name: str) -> None:
    """Hosts unpack it as root."""
    with pytest.raises(BadBundle, match="lies where nothing should"):
        check(packed(member(name)))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_only_files_are_in_it(kind: bytes) -> None:
    """No links, devices or folders."""
    with pytest.raises(BadBundle, match="is no file"):
        check(packed(member("site/x", kind, linkname="/etc/passwd")))


def test_a_file_that_is_there_twice_is_refused() -> None:
    """Nobody knows which one would count."""
    with pytest.raises(BadBundle, match="twice"):
        check(packed(member("site/x"), member("site/x")))


def test_one_that_spells_out_too_much_is_refused() -> None:
    """Some bytes that stand for gigabytes are not unpacked to find that out."""
    info = tarfile.TarInfo("site/x")
    info.size = 10**12
    head = gzip.compress(PLAIN[:1024] + info.tobuf() + bytes(100_000))
    with pytest.raises(BadBundle, match="more than any bundle"):
        check(io.BytesIO(head))


def test_a_bundle_of_tomorrow_is_told_apart() -> None:
    """Its format is not ours: the error says both."""
    said = msgspec.json.decode(GOOD.manifest.encode()) | {"format": 7}
    with pytest.raises(BadBundle, match="format 7"):
        check(packed(manifest=msgspec.json.encode(said)))


def changed(**fields: object) -> bytes:
    """Return the good bundle with other words about itself."""
    said = msgspec.json.encode(msgspec.json.decode(GOOD.manifest.encode()) | fields)
    sink = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(BYTES)) as source,
        tarfile.open(fileobj=sink, mode="w:gz", format=tarfile.PAX_FORMAT) as target,
    ):
        for info in source:
            content_of = source.extractfile(info)
            assert content_of is not None
            data = said if info.name == "bundle.json" else content_of.read()
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return sink.getvalue()


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "9.9"},
        {"python": "3.14"},
        {"platform": "linux-x86_64"},
        {"build": "0" * 12},
        {"unpacked": 1},
    ],
    ids=str,
)
def test_what_it_says_of_itself_holds(fields: Mapping[str, object]) -> None:
    """Another version, target or build than its files were packed for."""
    assert check(io.BytesIO(changed())).manifest == GOOD.manifest
    with pytest.raises(BadBundle):
        check(io.BytesIO(changed(**fields)))


class Trickle(io.RawIOBase):
    """A file that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: Callable[[], int]) -> None:
        self._source = io.BytesIO(data)
        self._size = size

    def read(self, _count: int = -1) -> bytes:
        """Give the next ones."""
        return self._source.read(self._size())


@_QUICK
@given(st.lists(st.integers(1, 700), min_size=1))
def test_it_does_not_matter_how_it_comes(sizes: list[int]) -> None:
    """In pieces of any size."""
    turns = itertools.cycle(sizes)
    trickle = Trickle(BYTES, lambda: next(turns))
    assert check(trickle).manifest == GOOD.manifest  # type: ignore[arg-type]  # it is read, and nothing else
