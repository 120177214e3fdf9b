"""The archive of a bundle, written."""

import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from outrider.center.bundles.errors import InstallationUnfit
from outrider.center.bundles.installed import Content
from outrider.center.bundles.packing import PIECE, Stopped, pack
from outrider.center.bundles.parts import Part
from outrider.domain.bundles import BundleTarget
from tests.fixtures.bundles import archive, content, part

FILES = {"a.py": b"a" * 700, "deep/" * 30 + "b.so": bytes(range(256)) * 4096, "empty.py": b""}


def test_any_tar_program_reads_it() -> None:
    """A gzipped tar: the manifest first, then files below `site/` by name, with nobody's name on them."""
    made = content(FILES)
    with tarfile.open(fileobj=io.BytesIO(archive(made)), mode="r:gz") as unpacked:
        members = unpacked.getmembers()
        assert [member.name for member in members] == [
            "bundle.json",
            *sorted(f"site/{name}" for name in (*FILES, "__main__.py", "outrider/__init__.py")),
        ]
        assert all(member.isreg() and member.mode == 0o644 for member in members)
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}
        first = unpacked.extractfile(members[0])
        assert first is not None
        assert first.read() == made.manifest.encode()
        for name, data in FILES.items():
            member = unpacked.extractfile(f"site/{name}")
            assert member is not None
            assert member.read() == data


def test_the_same_content_gives_the_same_bytes() -> None:
    """Whenever and wherever it is packed; other content has another build."""
    made = content(FILES)
    assert archive(made) == archive(content(FILES))
    others = [
        content({**FILES, "a.py": b"b" * 700}),
        content({**FILES, "c.py": b""}),
        content(FILES, version="9.9"),
        content(FILES, target=BundleTarget("3.14", made.manifest.platform)),
    ]
    builds = {made.manifest.build, *(other.manifest.build for other in others)}
    assert len(builds) == 1 + len(others)


def test_what_was_written_is_told() -> None:
    """The digest and the size of the whole archive."""
    made, sink = content(FILES), io.BytesIO()
    packed = pack(sink, made.manifest, made.parts)
    assert packed.digest == hashlib.sha256(sink.getvalue()).hexdigest()
    assert packed.size == len(sink.getvalue())


def with_part(of: Content, changed: Part) -> Sequence[Part]:
    """Return the parts, one of them changed."""
    return [changed if each.name == changed.name else each for each in of.parts]


@pytest.mark.parametrize("data", [b"", b"a" * 699, b"a" * 699 + b"b", b"a" * 701, b"a" * 9_000_000])
def test_a_file_that_is_not_what_was_installed_makes_no_bundle(data: bytes) -> None:
    """Changed, cut off or grown: its name is told."""
    made = content(FILES)
    changed = replace(part("a.py", FILES["a.py"]), open=lambda: io.BytesIO(data))
    with pytest.raises(InstallationUnfit, match=r"a\.py is not what was installed") as unfit:
        pack(io.BytesIO(), made.manifest, with_part(made, changed))
    assert unfit.value.fields["file"] == "a.py"


def test_a_file_that_is_gone_makes_no_bundle(tmp_path: Path) -> None:
    """As one that was changed."""
    made = content(FILES)
    gone = replace(part("a.py", FILES["a.py"]), open=lambda: (tmp_path / "gone").open("rb"))
    with pytest.raises(InstallationUnfit, match=r"a\.py"):
        pack(io.BytesIO(), made.manifest, with_part(made, gone))


def test_a_full_disk_is_told_as_it_is() -> None:
    """The error of the system reaches who asked."""
    made = content(FILES)
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        pack(full, made.manifest, made.parts)


def test_it_stops_when_nobody_wants_it() -> None:
    """Within a piece of a file."""
    made = content({"large": bytes(10 * PIECE)})
    asked = iter([True, True, False])
    sink = io.BytesIO()
    with pytest.raises(Stopped):
        pack(sink, made.manifest, made.parts, wanted=lambda: next(asked))
    assert next(asked, None) is None
