"""The rules of `./dev check` refuse what they say, and let pass what is fine."""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from tools.refusals import rules
from tools.refusals.requirements import unlocked
from tools.refusals.tree import File, Refusal, written

_HASH = "    --hash=sha256:" + "0" * 64
_NOQA = "# no" + "qa"
_IGNORE = "# type: " + "ignore"


def _refused(rule: Callable[[File], Iterator[Refusal]], place: str, text: str = "") -> list[int]:
    return [refusal.line for refusal in rule(File(PurePosixPath(place), text))]


@pytest.mark.parametrize(
    "place", ["src/outrider/utils.py", "tests/helpers/files.py", "tools/misc/__init__.py"]
)
def test_a_name_that_says_nothing_is_refused(place: str) -> None:
    """Folders and modules are both looked at."""
    assert _refused(rules.vague_names, place) == [0]


@pytest.mark.parametrize(
    "place", ["src/outrider/kit/clock.py", "docs/manager.md", "src/outrider/cli/helpful.py"]
)
def test_a_name_that_says_something_passes(place: str) -> None:
    """Only whole names of code are meant."""
    assert _refused(rules.vague_names, place) == []


def test_a_lock_of_pins_and_hashes_passes() -> None:
    """Markers, extras and the remarks of the resolver belong to a lock."""
    pin = "aiohttp==3.14.5 ; sys_platform == 'linux' \\"
    text = f"{pin}\n{_HASH} \\\n{_HASH}\n    # via outrider (pyproject.toml)\n"
    assert _refused(rules.lock_lines, "requirements/agent.txt", text) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "--find-links /wheels",
        "aiohttp",
        "aiohttp==3.14.5",
        "aiohttp @ https://packages.example/aiohttp.whl \\",
        "-e .",
        "# from https://packages.example/simple",
        "    --hash=md5:00",
    ],
)
def test_anything_else_in_a_lock_is_refused(line: str) -> None:
    """An address, a loose requirement or a weak hash must not get in."""
    assert _refused(rules.lock_lines, "requirements/agent.txt", f"{_HASH}\n{line}\n") == [2]


def test_a_test_without_its_promise_is_refused() -> None:
    """Also when it is async or in a class; what is no test needs none here."""
    text = "def test_a(): pass\nclass T:\n    async def test_b(self): pass\ndef c(): pass\n"
    text += "def test_d():\n    'Yes.'\n"
    assert _refused(rules.undocumented_tests, "tests/unit/test_x.py", text) == [1, 3]
    assert _refused(rules.undocumented_tests, "src/outrider/x.py", text) == []


@pytest.mark.parametrize(
    "exception",
    [
        f"{_NOQA}",
        f"{_NOQA}: S608",
        f"{_IGNORE}",
        f"{_IGNORE}[arg-type]",
    ],
)
def test_an_exception_without_code_or_reason_is_refused(exception: str) -> None:
    """The code alone does not say why."""
    assert _refused(rules.unexplained_exceptions, "src/a.py", f"x = 1  {exception}\n") == [1]


@pytest.mark.parametrize(
    "exception",
    [
        f"{_NOQA}: S608 - the name is ours",
        f"{_NOQA}: S608, E501 the name is ours",
        f"{_IGNORE}[arg-type]  # the stub is wrong",
    ],
)
def test_an_exception_with_code_and_reason_passes(exception: str) -> None:
    """Both are there, in the way the tools read them."""
    assert _refused(rules.unexplained_exceptions, "src/a.py", f"x = 1  {exception}\n") == []


def test_what_lies_beside_the_tree_is_not_pointed_at(tmp_path: Path) -> None:
    """Neither by its absolute nor by its relative path; paths within the tree and elsewhere pass."""
    root = tmp_path / "tree"
    (root / "docs" / "notes").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "other").mkdir()
    rule = rules.ways_out(root)
    text = f"see {tmp_path}/other/x\nand {root}\nand ../other/y\nbut /etc/other and docs/../other\n"
    assert _refused(rule, "README.md", text) == [1, 2, 3]
    assert _refused(rule, "docs/guides/page.md", "../notes/page.md") == [], "it exists within the tree"


def test_only_what_people_write_is_read(tmp_path: Path) -> None:
    """Caches, fetched packages and binary files are left alone; CI's folder is not."""
    for place in (".venv/a.py", "src/__pycache__/b.py", "console/node_modules/c.js", ".ci/run", "src/d.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("text")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    assert [str(file.place) for file in written(tmp_path)] == [".ci/run", "src/d.py"]


def test_a_requirement_that_the_lock_lacks_is_refused(tmp_path: Path) -> None:
    """One that is not there, or there in a version that does not fit."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["Some_Thing>=2"]\n[project.optional-dependencies]\ncenter = ["old>=3"]\n'
        '[dependency-groups]\ndev = ["absent"]\n'
    )
    for name in ("agent.txt", "center.txt", "dev.txt"):
        (tmp_path / "requirements" / name).write_text("some-thing==2.1 \\\nold==2.9 ; x \\\n")
    assert [str(refusal).split(";")[0] for refusal in unlocked(tmp_path)] == [
        "requirements/center.txt: does not carry `old>=3`",
        "requirements/dev.txt: does not carry `old>=3`",
        "requirements/dev.txt: does not carry `absent`",
    ]


@pytest.mark.parametrize(
    ("entry", "refused"),
    [
        ('{"version": "1.0.0", "integrity": "sha512-x"}', False),
        ('{"version": "1.0.0"}', True),
        ('{"version": "1.0.0", "integrity": "sha1-x"}', True),
        ('{"version": "1.0.0", "integrity": "sha512-x", "resolved": "https://packages.example/a"}', True),
    ],
)
def test_the_lock_of_npm_names_no_address(entry: str, refused: bool) -> None:  # noqa: FBT001 (a column of the table)
    """Each package has a hash that counts, and nothing says where it is from."""
    text = f'{{"packages": {{"": {{}}, "node_modules/a": {entry}}}}}'
    assert _refused(rules.npm_lock_entries, "console/package-lock.json", text) == [0] * refused
