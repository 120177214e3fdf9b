"""The kept output of a command: exactly the head and the tail, at every moment and after every reopening."""

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.domain.output import HEAD_BYTES, STDERR, STDOUT, TAIL_BYTES, extent
from outrider.engines.commands.capture import Capture

_PATTERN = os.urandom(997 * 1031)
_EDGES = (1, 16, 65535, 65536, 65537, HEAD_BYTES, TAIL_BYTES, HEAD_BYTES + TAIL_BYTES)


def _stream(start: int, end: int) -> bytes:
    """Cut [start, end) out of an endless stream whose pieces do not repeat at the ring's size."""
    parts = []
    while start < end:
        at = start % len(_PATTERN)
        part = _PATTERN[at : at + end - start]
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _kept(capture: Capture, channel: int, limit: int) -> dict[int, bytes]:
    """Read all that is kept, as a sender would: floor, read, on."""
    runs: dict[int, bytes] = {}
    offset = capture.floor(channel, 0)
    run = offset
    while offset < capture.total(channel):
        if runs and offset != run + len(runs[run]):
            run = offset
        piece = capture.read(channel, offset, limit)
        assert 0 < len(piece) <= limit
        runs[run] = runs.get(run, b"") + piece
        offset = capture.floor(channel, offset + len(piece))
    return runs


def _assert_exact(capture: Capture, channel: int, total: int, limit: int = 100_000) -> None:
    kept = extent(total)
    expected = {0: _stream(0, kept.head_end)} if total else {}
    if kept.dropped:
        expected[kept.tail_start] = _stream(kept.tail_start, total)
    elif total:
        expected[0] = _stream(0, total)
    assert capture.total(channel) == total
    assert _kept(capture, channel, limit) == expected


_sizes = st.one_of(
    st.integers(1, 300), st.sampled_from(_EDGES), st.integers(1, 700_000), st.integers(1, 3 * TAIL_BYTES)
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from((STDOUT, STDERR)), _sizes),
        st.tuples(st.sampled_from(("reopen", "copy")), st.just(0), st.just(0)),
    ),
    max_size=12,
)


@given(steps=_steps, limit=st.integers(30_000, 2_000_000))
@settings(max_examples=60, deadline=None)
def test_head_and_tail_are_exact(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]], limit: int
) -> None:
    """Whatever is written in whatever pieces, reopened or copied when, both ends are kept to the byte."""
    folder = tmp_path_factory.mktemp("capture")
    totals = {STDOUT: 0, STDERR: 0}
    capture = Capture(folder, "cmd_x")
    for number, (step, channel, size) in enumerate(steps):
        if step == "write":
            capture.write(channel, _stream(totals[channel], totals[channel] + size))
            totals[channel] += size
        elif step == "reopen":
            capture.close()
            capture = Capture(folder, "cmd_x")
        else:
            copy_folder = folder / str(number)
            copy_folder.mkdir()
            for file in folder.glob("cmd_x.*"):
                shutil.copy(file, copy_folder)
            copy = Capture(copy_folder, "cmd_x")
            for each, total in totals.items():
                _assert_exact(copy, each, total, limit)
            copy.close()
    for each, total in totals.items():
        _assert_exact(capture, each, total, limit)
    capture.close()
    shutil.rmtree(folder)


@given(
    total=st.sampled_from((0, 5, HEAD_BYTES + 7, HEAD_BYTES + TAIL_BYTES + 9)), offset=st.integers(0, 2 << 20)
)
@settings(deadline=None)
def test_floor_and_read_agree(tmp_path_factory: pytest.TempPathFactory, total: int, offset: int) -> None:
    """A byte can be read exactly where `floor` says that it is kept; elsewhere reading gives nothing."""
    folder = tmp_path_factory.mktemp("capture")
    capture = Capture(folder, "cmd_x")
    capture.write(STDOUT, _stream(0, total))
    floor = capture.floor(STDOUT, offset)
    assert capture.read(STDOUT, floor, 1) == _stream(floor, min(floor + 1, total))
    if floor != offset:
        assert capture.read(STDOUT, offset, 1) == b""
    capture.close()


def test_no_file_before_the_first_byte(tmp_path: Path) -> None:
    """A channel without output has no file; one with output is for the agent's user alone."""
    capture = Capture(tmp_path, "cmd_x")
    capture.write(STDOUT, b"")
    assert capture.total(STDERR) == 0
    assert list(tmp_path.iterdir()) == []
    capture.write(STDOUT, b"x")
    assert [file.name for file in tmp_path.iterdir()] == ["cmd_x.1"]
    assert (tmp_path / "cmd_x.1").stat().st_mode & 0o777 == 0o600
    capture.close()


def test_delete_removes_and_empties(tmp_path: Path) -> None:
    """After `delete` nothing is left, and the capture can be used anew."""
    capture = Capture(tmp_path, "cmd_x")
    capture.write(STDOUT, b"x")
    capture.sync()
    capture.delete()
    assert list(tmp_path.iterdir()) == []
    assert capture.total(STDOUT) == 0
    capture.delete()
    capture.write(STDOUT, b"yz")
    assert capture.read(STDOUT, 0, 10) == b"yz"
    capture.delete()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".", "x" * 81, "a\n", "a.1"])
def test_a_name_is_a_plain_name(tmp_path: Path, name: str) -> None:
    """What comes from outside never leads out of the folder."""
    with pytest.raises(ValueError, match="can't name a capture"):
        Capture(tmp_path, name)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """Who puts a link where the file will be does not make the agent write elsewhere."""
    (tmp_path / "victim").write_text("safe")
    (tmp_path / "cmd_x.1").symlink_to(tmp_path / "victim")
    capture = Capture(tmp_path, "cmd_x")
    capture.write(STDOUT, b"evil")
    assert capture.fault
    assert (tmp_path / "victim").read_text() == "safe"


def test_subscribers_hear_of_each_write(tmp_path: Path) -> None:
    """A callback finds what was written when it is called."""
    capture = Capture(tmp_path, "cmd_x")
    seen: list[int] = []
    capture.subscribe(lambda: seen.append(capture.total(STDOUT)))
    capture.write(STDOUT, b"ab")
    capture.write(STDOUT, b"c")
    assert seen == [2, 3]
    capture.close()


@contextmanager
def _largest_file(limit: int) -> Iterator[None]:
    """Let the kernel refuse what would lie beyond `limit`, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_keeping_not_the_command(tmp_path: Path) -> None:
    """What fitted is kept, `fault` says why the rest is not, later writes are dropped, subscribers hear."""
    capture = Capture(tmp_path, "cmd_x")
    heard: list[str] = []
    capture.subscribe(lambda: heard.append(capture.fault))
    with _largest_file(100_000):
        capture.write(STDOUT, _stream(0, 65536))
        capture.write(STDOUT, _stream(65536, 2 * 65536))
    assert "65536 bytes of stdout" in capture.fault
    assert os.strerror(errno.EFBIG) in capture.fault
    capture.write(STDOUT, b"later")
    capture.write(STDERR, b"later")
    assert capture.total(STDERR) == 0
    _assert_exact(capture, STDOUT, 65536)
    assert heard == ["", capture.fault]
    capture.close()


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    """Without its folder the capture says so and drops the output."""
    capture = Capture(tmp_path / "none", "cmd_x")
    capture.write(STDOUT, b"x")
    assert os.strerror(errno.ENOENT) in capture.fault
    assert capture.total(STDOUT) == 0


def _garbage(data: bytes) -> bytes:
    return b"\0" * len(data)


def _cut_in_header(data: bytes) -> bytes:
    return data[:9]


@pytest.mark.parametrize("damage", [_garbage, _cut_in_header])
def test_a_damaged_header_begins_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A file that a power cut has torn is empty, not an error, and takes new output."""
    capture = Capture(tmp_path, "cmd_x")
    capture.write(STDOUT, b"before")
    capture.close()
    file = tmp_path / "cmd_x.1"
    file.write_bytes(damage(file.read_bytes()))
    capture = Capture(tmp_path, "cmd_x")
    assert capture.total(STDOUT) == 0
    capture.write(STDOUT, _stream(0, 10))
    capture.close()
    capture = Capture(tmp_path, "cmd_x")
    _assert_exact(capture, STDOUT, 10)
    capture.close()


@given(total=st.integers(1, HEAD_BYTES + 2 * TAIL_BYTES), cut=st.integers(16, 1_200_000))
@settings(max_examples=30, deadline=None)
def test_a_file_cut_short_is_a_prefix(tmp_path_factory: pytest.TempPathFactory, total: int, cut: int) -> None:
    """When a power cut took the file's end, the total says no more than what is there."""
    folder = tmp_path_factory.mktemp("capture")
    capture = Capture(folder, "cmd_x")
    capture.write(STDOUT, _stream(0, total))
    capture.close()
    file = folder / "cmd_x.1"
    size = file.stat().st_size
    os.truncate(file, min(cut, size))
    capture = Capture(folder, "cmd_x")
    left = capture.total(STDOUT)
    assert left == (total if cut >= size else cut - 16)
    capture.read(STDOUT, capture.floor(STDOUT, 0), 1 << 21)
    capture.close()
