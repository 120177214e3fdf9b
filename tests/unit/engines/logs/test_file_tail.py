"""A log file read line by line, whatever becomes of it meanwhile."""

import asyncio
import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.domain.errors import Forbidden, Invalid, NotFound
from outrider.domain.logs import LONGEST_LINE
from outrider.engines.files.rooted import Roots
from outrider.engines.logs.events import Event, LeftOut, Lines, Place, Remark
from outrider.engines.logs.file_position import FilePosition
from outrider.engines.logs.file_tail import BLOCK, MAX_LAG, UNFINISHED_AFTER, FileTail
from outrider.engines.logs.files import follow_file
from outrider.kit.clock import SystemClock
from outrider.kit.tasks import Tasks
from outrider.testing.clock import TurnedClock

_NOBODY = 65_534


def _nobody_in_particular() -> Roots:
    """Let the thread that asks see files as an ordinary user does, and give it all folders to look into.

    Linux keeps who opens files for each thread; for whoever is no root already this changes nothing.
    """
    _ = ctypes.CDLL(None, use_errno=True).setfsuid(_NOBODY)
    return Roots()


class Reader:
    """A tail with all that it has given."""

    def __init__(self, path: Path, *, pattern: str = "", roots: Callable[[], Roots] = Roots) -> None:
        self.path = path
        self.clock = TurnedClock()
        self.tail = FileTail(roots, str(path), self.clock, pattern=pattern)
        self.lines: list[str] = []
        self.positions: list[str] = []
        self.objects: list[dict[str, Any]] = []
        self.remarks: list[str] = []
        self.left_out = 0

    def start(self, lines: int = 100, after: str = "") -> "Reader":
        """Open it and read what is there."""
        self._take(self.tail.start(lines, FilePosition.parse(after) if after else None).events)
        return self.read()

    def read(self) -> "Reader":
        """Read until nothing more is there."""
        while True:
            step = self.tail.step()
            self._take(step.events)
            if step.is_idle:
                return self

    def turn(self, seconds: float = 2.0) -> "Reader":
        """Let time pass, and read."""
        asyncio.run(self.clock.advance(seconds))
        return self.read()

    def _take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Lines(data=data, count=count):
                    encoded = data.splitlines()
                    assert len(encoded) == count
                    for line in encoded:
                        position, _, text = line.partition(b"\t")
                        told = msgspec.json.decode(text)
                        self.lines.append(told["message"])
                        self.objects.append(told)
                        self.positions.append(position.decode())
                case Place(at=at):
                    self.positions.append(at)
                case Remark(code=code):
                    self.remarks.append(code)
                case LeftOut(lines=lines):
                    self.left_out += lines

    def taken(self) -> list[str]:
        """Give the lines since the last call."""
        lines, self.lines = self.lines, []
        return lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Give the path of a log file with a few lines."""
    path = tmp_path / "app.log"
    path.write_text("".join(f"line {number}\n" for number in range(10)))
    return path


@pytest.fixture
def reader(log: Path) -> Iterator[Reader]:
    """Give a reader of it that has read its last two lines."""
    reader = Reader(log).start(2)
    yield reader
    reader.tail.close()


def add(path: Path, text: str | bytes) -> None:
    """Write more into a file."""
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def read_once(path: Path, lines: int = 100, *, after: str = "", pattern: str = "") -> Reader:
    """Read a file to its end with a reader that is closed then."""
    reader = Reader(path, pattern=pattern)
    try:
        return reader.start(lines, after)
    finally:
        reader.tail.close()


@given(
    content=st.lists(st.integers(0, 3), max_size=60),
    sizes=st.tuples(*[st.integers(0, 40_000)] * 4),
    wanted=st.integers(0, 70),
    ended=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_the_last_lines_are_found_from_the_end(
    content: list[int], sizes: tuple[int, ...], wanted: int, *, ended: bool
) -> None:
    """As many as are wanted and there, whatever their lengths; one without an end counts as well."""
    texts = [b"%d " % number + b"x" * sizes[which] for number, which in enumerate(content)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"".join(text + b"\n" for text in texts) if ended else b"\n".join(texts))
        reader = Reader(path)
        try:
            reader.start(wanted).turn()
        finally:
            reader.tail.close()
    expected = [text[:LONGEST_LINE].decode() for text in texts[len(texts) - wanted :]] if wanted else []
    assert reader.lines == (
        expected if wanted < len(texts) else [text[:LONGEST_LINE].decode() for text in texts]
    )


@given(pieces=st.lists(st.binary(max_size=200), max_size=20))
@settings(max_examples=30, deadline=None)
def test_lines_are_the_same_however_they_are_written(pieces: list[bytes]) -> None:
    """What is written in pieces gives the lines of the whole, each once, in order; bad UTF-8 is marked."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.touch()
        reader = Reader(path)
        try:
            reader.start()
            for piece in pieces:
                add(path, piece)
                reader.read()
            reader.turn()
        finally:
            reader.tail.close()
    whole = b"".join(pieces)
    raws = whole.removesuffix(b"\n").split(b"\n") if whole else []
    assert reader.lines == [raw.removesuffix(b"\r").decode("utf-8", "replace") for raw in raws]


@given(texts=st.lists(st.text(max_size=90), min_size=1, max_size=12), chosen=st.data())
@settings(max_examples=30, deadline=None)
def test_every_position_is_one_to_go_on_after(texts: list[str], chosen: st.DataObject) -> None:
    """A reader that comes back with any line's position gets exactly the lines after it."""
    lines = [text.replace("\n", " ").replace("\r", " ") for text in texts]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"".join(line.encode("utf-8", "replace") + b"\n" for line in lines))
        first = read_once(path)
        place = chosen.draw(st.integers(0, len(lines) - 1))
        again = read_once(path, after=first.positions[place])
    assert again.lines == first.lines[place + 1 :]
    assert again.positions == first.positions[place + 1 :]
    assert not again.remarks


def test_it_goes_on_where_the_file_grows(reader: Reader, log: Path) -> None:
    """The last lines first, then what is written; a line comes whole, with the time it was read."""
    assert reader.taken() == ["line 8", "line 9"]
    add(log, "one\ntw")
    assert reader.read().taken() == ["one"]
    add(log, "o\r\n")
    assert reader.read().taken() == ["two"]
    assert reader.objects[-1]["time"] == reader.clock.time()


def test_a_line_without_an_end_is_shown_after_a_while(reader: Reader, log: Path) -> None:
    """As it stands, marked; its end makes no line of its own, and what follows is a line again."""
    add(log, "no end")
    assert reader.read().turn(UNFINISHED_AFTER / 2).taken() == ["line 8", "line 9"]
    assert reader.turn(UNFINISHED_AFTER).taken() == ["no end"]
    assert reader.objects[-1]["unfinished"] is True
    assert reader.turn().taken() == []
    add(log, "\nnext\n")
    assert reader.read().taken() == ["next"]


def test_a_long_line_is_cut_and_costs_no_memory(reader: Reader, log: Path) -> None:
    """Its beginning comes, marked; the rest is passed over, also when it is longer than a block."""
    for size in (LONGEST_LINE + 1, BLOCK * 3):
        reader.taken()
        add(log, "y" * size + "\nafter\n")
        assert reader.read().taken() == ["y" * LONGEST_LINE, "after"]
        assert "cut" not in reader.objects[-1]
        assert reader.objects[-2]["cut"] is True


def test_a_rotated_file_is_read_to_its_end_first(reader: Reader, log: Path) -> None:
    """Renamed and made anew: what is still written into the old one comes before the new one's lines."""
    reader.taken()
    log.rename(log.with_suffix(".1"))
    log.write_text("new 1\n")
    add(log.with_suffix(".1"), "old, late\n")
    assert reader.read().taken() == ["old, late"]
    add(log.with_suffix(".1"), "old, last, no end")
    assert reader.turn().turn().taken() == ["old, last, no end", "new 1"]
    assert reader.remarks == ["rotated"]
    add(log, "new 2\n")
    assert reader.read().taken() == ["new 2"]


def test_a_file_copied_and_emptied_is_read_from_its_beginning(reader: Reader, log: Path) -> None:
    """copytruncate: the lines after it come once, also when the file is as long as before by then."""
    reader.taken()
    os.truncate(log, 0)
    assert reader.read().taken() == []
    add(log, "after 1\n")
    assert reader.read().taken() == ["after 1"]
    os.truncate(log, 0)
    add(log, "quickly\n" * 40)
    assert reader.read().taken() == ["quickly"] * 40
    assert reader.remarks == ["truncated", "truncated"]


def test_a_removed_file_is_awaited(reader: Reader, log: Path) -> None:
    """It says so once, and reads the one that is made in its place."""
    reader.taken()
    log.unlink()
    assert reader.turn().turn().remarks == ["gone"]
    log.write_text("back\n")
    assert reader.turn().turn().taken() == ["back"]
    assert reader.remarks == ["gone", "rotated"]


def test_a_file_moved_away_and_back_goes_on(reader: Reader, log: Path) -> None:
    """Nothing is read twice."""
    reader.taken()
    log.rename(log.with_suffix(".1"))
    reader.turn()
    log.with_suffix(".1").rename(log)
    add(log, "more\n")
    assert reader.turn().turn().taken() == ["more"]
    assert reader.remarks == ["gone"]


def test_a_file_that_is_closed_to_us_for_good_is_an_error(log: Path) -> None:
    """For some seconds it may be out of reach, as rotation leaves it; then the reader is told why."""
    folder = log.parent
    reader = Reader(log, roots=lambda: Roots([str(folder)])).start()
    try:
        log.unlink()
        log.symlink_to("/etc/passwd")
        reader.turn(1.0).turn(1.0)
        with pytest.raises(Forbidden):
            reader.turn(10.0)
    finally:
        reader.tail.close()


def test_positions_outlive_rotation(log: Path) -> None:
    """A reader that was away goes on in the file under its new name, then in the one in its place."""
    first = read_once(log)
    add(log, "late\n")
    log.rename(log.with_suffix(".1"))
    log.write_text("new\n")
    again = Reader(log)
    try:
        assert again.start(after=first.positions[4]).lines == [f"line {n}" for n in range(5, 10)] + ["late"]
        assert again.turn().turn().taken()[-1] == "new"
        assert again.remarks == ["rotated"]
    finally:
        again.tail.close()


def test_a_position_in_a_file_that_is_gone_says_so(log: Path) -> None:
    """Removed and made anew, or emptied and written anew: all of the new one comes, with a remark."""
    position = read_once(log).positions[-1]
    os.truncate(log, 0)
    add(log, "other " * 100 + "\nlast\n")
    emptied = read_once(log, after=position)
    assert (emptied.lines[-1], emptied.remarks) == ("last", ["emptied"])
    other = log.with_suffix(".other")
    other.write_text("one\n")
    other.replace(log)
    replaced = read_once(log, after=position)
    assert (replaced.lines, replaced.remarks) == (["one"], ["replaced"])


def test_a_reader_that_is_far_behind_skips_and_is_told(reader: Reader, log: Path) -> None:
    """Only what is new is skipped; what comes after is whole lines, and the count is right."""
    reader.taken()
    count = MAX_LAG // 25
    with log.open("ab") as file:
        file.writelines(b"%049d\n" % number for number in range(count))
    reader.read()
    seen = [int(line) for line in reader.taken()]
    assert seen == list(range(reader.left_out, count))
    assert reader.left_out > count // 2


def test_a_reader_that_catches_up_misses_nothing(log: Path) -> None:
    """What was there when it came is all given, however much it is."""
    position = read_once(log).positions[-1]
    count = MAX_LAG // 40
    with log.open("ab") as file:
        file.writelines(b"%049d\n" % number for number in range(count))
    again = read_once(log, after=position)
    assert (len(again.lines), again.left_out) == (count, 0)


def test_a_pattern_picks_lines_of_past_and_future(log: Path) -> None:
    """The last ones that fit, wherever they are; a line's whole text counts, as text."""
    add(log, "é 1\n" + "noise\n" * 30_000)
    reader = Reader(log, pattern="^(line [13]|é \\d)$")
    try:
        assert reader.start(2).taken() == ["line 3", "é 1"]
        add(log, "noise\né 2\nline 12\n")
        assert reader.read().taken() == ["é 2"]
    finally:
        reader.tail.close()


def test_what_can_not_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, a FIFO, a device; a path outside of the roots; another log's position."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, error in (
        (tmp_path / "nowhere", NotFound),
        (tmp_path, Invalid),
        (fifo, Forbidden),
        (Path("/dev/zero"), Forbidden),
    ):
        with pytest.raises(error):
            Reader(path).start()
    with pytest.raises(Forbidden):
        Reader(Path("/etc/passwd"), roots=lambda: Roots([str(tmp_path)])).start()
    with pytest.raises(Invalid):
        FilePosition.parse("j.s=1;i=2")


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that everybody may look into, unlike those that tests get."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_a_file_that_may_not_be_read_says_so(everybodys: Path) -> None:
    """The agent's user may see that it is there and not what is in it: refused at once, by name."""
    log = everybodys / "secret.log"
    log.write_text("one\n")
    log.chmod(0)
    events = follow_file(_nobody_in_particular, str(log), clock=SystemClock(), lines=10)
    with pytest.raises(Forbidden, match=r"secret\.log"):
        await anext(events)


async def test_a_file_that_comes_to_be_forbidden_is_waited_for_and_given_up(everybodys: Path) -> None:
    """Rotation may make the new file first and let us in then; one that stays shut ends it, and says so."""
    log, clock = everybodys / "app.log", TurnedClock()
    log.write_text("one\n")
    log.chmod(0o644)
    async with aclosing(follow_file(_nobody_in_particular, str(log), clock=clock, lines=10)) as events:
        found = [await anext(events)]
        log.rename(everybodys / "app.log.1")
        log.write_text("two\n")
        log.chmod(0)
        async with Tasks("turning") as tasks:
            tasks.spawn("turning", _turn_on(clock))
            with pytest.raises(Forbidden, match=r"app\.log"):
                found += [event async for event in events]
    assert [event.count for event in found if isinstance(event, Lines)] == [1]


async def _turn_on(clock: TurnedClock) -> None:
    while True:
        await clock.advance(0.5)
