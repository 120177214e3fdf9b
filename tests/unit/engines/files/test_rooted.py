"""Promises of outrider.engines.files.rooted: no path leads out of the roots, and no trick goes unsaid."""

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from outrider.domain.errors import Invalid, NotFound
from outrider.domain.file_errors import NotAFile, NotAFolder, PathRefused
from outrider.engines.files.rooted import Roots

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")


MakeRoots = Callable[..., Roots]


@pytest.fixture(params=[True, False], ids=["openat2", "walk"])
def make_roots(request: pytest.FixtureRequest) -> MakeRoots:
    """Every promise holds with the kernel's own resolution, and without."""
    return partial(Roots, kernel_resolves=bool(request.param))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with `in` (the root), `also` (another root) and `out` (neither)."""
    for name in ("in/sub/deep", "also", "out/sub"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "in/file").write_text("in")
    (tmp_path / "in/sub/file").write_text("sub")
    (tmp_path / "also/file").write_text("also")
    (tmp_path / "out/file").write_text("SECRET")
    (tmp_path / "out/sub/file").write_text("SECRET")
    return tmp_path


@pytest.fixture
def roots(tree: Path, make_roots: MakeRoots) -> Roots:
    """Return the roots `in` and `also`."""
    return make_roots([str(tree / "in"), str(tree / "also")], rule="The policy")


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Check that what the block opens it closes, also when it fails."""
    before = sorted(Path("/proc/self/fd").iterdir())
    yield
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def text_of(roots: Roots, path: Path | str) -> str:
    """Read a file by its roots."""
    with os.fdopen(roots.open_file(str(path))) as file:
        return file.read()


def test_files_beneath_the_roots_are_opened(tree: Path, roots: Roots) -> None:
    """Plain paths, doubled slashes and single dots included."""
    with no_descriptor_left():
        assert text_of(roots, tree / "in/file") == "in"
        assert text_of(roots, f"{tree}/in//./sub/file") == "sub"
        assert text_of(roots, tree / "also/file") == "also"


@pytest.mark.parametrize(
    ("link", "target", "text"),
    [
        ("link", "file", "in"),
        ("link", "sub/file", "sub"),
        ("link", "{tree}/in/sub/file", "sub"),
        ("link", "../in/file", "in"),
        ("link", "../also/file", "also"),
        ("link", "{tree}/also/file", "also"),
        ("link", "sub/deep/../file", "sub"),
        ("sub/link", "../file", "in"),
        ("sub/deep/link", "../../../also/../in/file", "in"),
    ],
)
def test_links_that_stay_inside_are_followed(
    tree: Path, roots: Roots, link: str, target: str, text: str
) -> None:
    """Relative and absolute, from one root into another, and up and down again."""
    (tree / "in" / link).symlink_to(target.format(tree=tree))
    with no_descriptor_left():
        assert text_of(roots, tree / "in" / link) == text


@pytest.mark.parametrize(
    "target",
    ["../out/file", "{tree}/out/file", "/etc/passwd", "sub/../../out/file", "../../../../../etc/passwd"],
)
def test_links_that_lead_out_are_refused(tree: Path, roots: Roots, target: str) -> None:
    """Whatever the link looks like; the answer says that a link led out, and what is allowed."""
    (tree / "in/link").symlink_to(target.format(tree=tree))
    with no_descriptor_left(), pytest.raises(PathRefused, match=r"symbolic link outside.*The policy allows"):
        text_of(roots, tree / "in/link")
    (tree / "in/folder").symlink_to(Path(target.format(tree=tree)).parent)
    with no_descriptor_left(), pytest.raises(PathRefused):
        text_of(roots, tree / "in/folder/file")
    with no_descriptor_left(), pytest.raises(PathRefused):
        roots.place(str(tree / "in/folder/new"))
    with no_descriptor_left(), pytest.raises(PathRefused):
        roots.place(str(tree / "in/link"))


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("{tree}/in/../out/file", PathRefused),
        ("{tree}/in/sub/../file", PathRefused),
        ("{tree}/in/..", PathRefused),
        ("/..", PathRefused),
        ("{tree}/out/file", PathRefused),
        ("{tree}/inside", PathRefused),
        ("{tree}", PathRefused),
        ("/", PathRefused),
        ("/etc/passwd", PathRefused),
        ("{tree}/in/fi\0le", PathRefused),
        ("in/file", Invalid),
        ("", Invalid),
        ("~/file", Invalid),
        ("/" + "x" * 5000, Invalid),
        ("{tree}/in/\ud800", Invalid),
        ("{tree}/in/" + "x" * 300, Invalid),
        ("{tree}/in/missing", NotFound),
        ("{tree}/in/file/under", NotFound),
        ("{tree}/in/sub", NotAFile),
    ],
)
def test_other_paths_are_refused_with_a_reason(
    tree: Path, roots: Roots, path: str, error: type[Exception]
) -> None:
    """Paths with `..`, outside, relative, with NUL, too long, or that name nothing."""
    with no_descriptor_left(), pytest.raises(error):
        roots.open_file(path.format(tree=tree))


def test_loops_of_links_end(tree: Path, roots: Roots) -> None:
    """A link to itself, and two to each other, are refused."""
    (tree / "in/self").symlink_to("self")
    (tree / "in/a").symlink_to(tree / "in/b")
    (tree / "in/b").symlink_to(tree / "in/a")
    for name in ("self", "a"):
        with no_descriptor_left(), pytest.raises(PathRefused, match="too many"):
            roots.open_file(str(tree / "in" / name))


def test_names_that_are_not_utf8_are_found(tree: Path, roots: Roots) -> None:
    """Bytes that are no text come as surrogate escapes, and work."""
    (tree / "in" / os.fsdecode(b"\xff\xfe")).write_text("bytes")
    assert text_of(roots, os.fsdecode(bytes(tree / "in") + b"/\xff\xfe")) == "bytes"


def test_fifos_and_sockets_are_refused_without_waiting(tree: Path, roots: Roots) -> None:
    """Nobody writes to the FIFO: opening it would wait for ever."""
    os.mkfifo(tree / "in/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "in/socket"))
        for name, kind in (("fifo", "a FIFO"), ("socket", "a socket")):
            for touch in (roots.open_file, roots.place):
                with no_descriptor_left(), pytest.raises(PathRefused, match=kind):
                    touch(str(tree / "in" / name))
    with pytest.raises(NotAFolder):
        roots.open_folder(str(tree / "in/fifo"))


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/tty", "/dev/stdin"])
def test_devices_are_refused_even_where_all_is_allowed(path: str, make_roots: MakeRoots) -> None:
    """Reading them, and putting a file in their place; /dev/stdin leads to a link of /proc."""
    everything = make_roots()
    for touch in (everything.open_file, everything.place):
        with no_descriptor_left(), pytest.raises(PathRefused):
            touch(path)


@needs_root
def test_devices_beneath_a_root_are_refused(tree: Path, roots: Roots) -> None:
    """A device node that somebody made inside the root is no way out."""
    os.mknod(tree / "in/zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    with pytest.raises(PathRefused, match="a device"):
        roots.open_file(str(tree / "in/zero"))


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/mem",
        "/proc/self/environ",
        "/proc/cpuinfo",
        "/proc/mounts",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd/pyproject.toml",
        "/proc/self/fd/0",
        "/proc/self/exe",
        "/proc/thread-self/root",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ],
)
def test_what_the_kernel_makes_up_is_refused(path: str, make_roots: MakeRoots) -> None:
    """Sizes there are untrue, and links of processes lead past every rule."""
    everything = make_roots()
    with no_descriptor_left(), pytest.raises((PathRefused, NotFound)):
        everything.open_file(path)


def test_without_a_policy_all_files_may_be_touched(tree: Path, make_roots: MakeRoots) -> None:
    """Absolute links are followed then, too."""
    everything = make_roots()
    (tree / "link").symlink_to(tree / "out/file")
    (tree / "up").symlink_to("../" * 30 + str(tree).lstrip("/") + "/out/file")
    assert text_of(everything, tree / "link") == "SECRET"
    assert text_of(everything, tree / "up") == "SECRET"


def test_a_place_is_the_open_folder_and_the_name(tree: Path, roots: Roots) -> None:
    """A new file, one that is there, and one named by a link, which is followed."""
    (tree / "in/link").symlink_to("sub/file")
    (tree / "in/dangling").symlink_to("sub/new")
    for asked, real in (("new", "new"), ("file", "file"), ("link", "sub/file"), ("dangling", "sub/new")):
        with no_descriptor_left(), roots.place(str(tree / "in" / asked)) as place:
            assert place.path == str(tree / "in" / real)
            assert place.name == Path(real).name
            assert os.fstat(place.folder).st_ino == (tree / "in" / real).parent.stat().st_ino


@pytest.mark.parametrize(
    ("path", "error"),
    [("in/no/file", NotFound), ("in/sub", NotAFile), ("in/new/", NotFound), ("in", NotAFile)],
)
def test_places_that_can_hold_no_file_are_refused(
    tree: Path, roots: Roots, path: str, error: type[Exception]
) -> None:
    """A missing folder, a folder in its place, a folder that is meant and is not there."""
    with no_descriptor_left(), pytest.raises(error):
        roots.place(f"{tree}/{path}")


def test_read_only_folders_are_read_and_not_written(tree: Path, make_roots: MakeRoots) -> None:
    """Neither by their name, nor by a link from elsewhere, nor by the real name of a linked one."""
    (tree / "named").symlink_to("also")
    (tree / "in/way").symlink_to(tree / "also")
    roots = make_roots(
        [str(tree / "in"), str(tree / "also")], [str(tree / "named"), str(tree / "in/sub")], rule="The policy"
    )
    assert text_of(roots, tree / "also/file") == "also"
    for path in ("also/file", "also/new", "in/way/new", "in/sub/deep/new"):
        with no_descriptor_left(), pytest.raises(PathRefused, match="only be read"):
            roots.place(str(tree / path))
    for path in ("also", "in/way", "in/sub", "in/sub/deep"):
        with no_descriptor_left(), pytest.raises(PathRefused, match="only be read"):
            roots.folder_to_fill(str(tree / path))
    with roots.place(str(tree / "in/new")):
        pass
    filled = roots.folder_to_fill(str(tree / "in"))
    assert filled is not None
    os.close(filled[0])
    assert roots.folder_to_fill(str(tree / "in/missing")) is None
    assert roots.folder_to_fill(str(tree / "in/file")) is None


def test_a_root_may_be_a_link(tree: Path, make_roots: MakeRoots) -> None:
    """Its own name and the real one are both inside; what is beside it is not."""
    (tree / "root").symlink_to("in")
    roots = make_roots([str(tree / "root")])
    assert text_of(roots, tree / "root/file") == "in"
    assert text_of(roots, tree / "in/file") == "in"
    with pytest.raises(PathRefused):
        text_of(roots, tree / "out/file")


def test_no_folder_may_be_touched_when_the_policy_names_none(tree: Path, make_roots: MakeRoots) -> None:
    """An empty list is not the same as no list."""
    with pytest.raises(PathRefused, match="no folder"):
        make_roots([]).open_file(str(tree / "in/file"))


def test_swapping_names_meanwhile_never_leads_out(tree: Path, roots: Roots) -> None:
    """A folder and a link are exchanged as fast as possible: what is read is never from outside."""
    (tree / "in/swap").mkdir()
    (tree / "in/swap/file").write_text("in")
    (tree / "in/other").symlink_to(tree / "out/sub")
    done = threading.Event()

    def swap() -> None:
        spare, first, second = (tree / "in" / name for name in ("spare", "swap", "other"))
        while not done.is_set():
            first.rename(spare)
            second.rename(first)
            spare.rename(second)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(text_of(roots, tree / "in/swap/file"))
            except (PathRefused, NotFound) as error:
                seen.add(error.code)
            try:
                with roots.place(str(tree / "in/swap/new")) as place:
                    real = Path(f"/proc/self/fd/{place.folder}").readlink()
                    assert real.is_relative_to(tree / "in")
            except (PathRefused, NotFound):
                pass
    finally:
        done.set()
        swapper.join()
    assert "SECRET" not in seen
    assert {"in", "path_refused"} <= seen
