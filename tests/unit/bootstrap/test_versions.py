"""Versions on disk: placed whole, switched in one step, found again after a kill between any two writes."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.bootstrap import trials
from outrider.bootstrap.layout import Layout
from outrider.bootstrap.target import Target
from outrider.bootstrap.unpack import BadArchive
from outrider.bootstrap.versions import BadVersion, Busy, Versions, check

HERE = Target("3.11", "linux-x86_64", "2.36")
GOOD = "__version__ = '{version}'"


def manifest(version: str, **said: Any) -> dict[str, Any]:
    """What a version says of itself."""
    facts = {"format": 1, "version": version, "build": "0123456789ab", "python": "3.11"}
    return {**facts, "platform": "linux-x86_64", "protocol": [1, 1], **said}


def bundle(folder: Path, said: dict[str, Any], code: str = "", *, version: str | None = None) -> Path:
    """An archive with an agent of no more than a name: `code` is what its daemon's module does."""
    files = {
        "bundle.json": json.dumps(said),
        "site/outrider/__init__.py": f"__version__ = '{version or said['version']}'",
        "site/outrider/agent/__init__.py": "",
        "site/outrider/agent/app.py": code,
    }
    file = folder / f"{said['version']}.tar.gz"
    with tarfile.open(file, "w:gz", compresslevel=0) as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return file


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    """A prefix without anything."""
    return Versions(Layout(prefix=tmp_path / "prefix"))


def fake(versions: Versions, *names: str, python: str = "3.11") -> None:
    """Put versions in place that nobody runs."""
    for name in names:
        folder = versions.layout.version(name)
        folder.mkdir(parents=True)
        (folder / "bundle.json").write_text(json.dumps(manifest(name, python=python)))


def test_a_version_is_placed_and_used(versions: Versions, tmp_path: Path) -> None:
    """It is there under its name, checked, and `current` leads to it once it is used."""
    told: list[str] = []
    name = versions.place(bundle(tmp_path, manifest("0.2.0")), HERE, say=told.append)
    assert name == "0.2.0-0123456789ab-cp311"
    assert told == ["unpacking", "checking that it runs on this host"]
    assert versions.installed() == [name]
    before = versions.current
    versions.use(name)
    assert before is None
    assert versions.current == name
    assert versions.layout.current.readlink() == Path("versions", name)
    assert versions.described(name) == "0.2.0 (build 0123456789ab)"
    assert versions.site(name).is_dir()


def test_a_version_that_is_there_is_left_as_it_is(versions: Versions, tmp_path: Path) -> None:
    """Unless it is asked for anew: then it comes under a name of its own."""
    file = bundle(tmp_path, manifest("0.2.0"))
    name = versions.place(file, HERE)
    inode = versions.layout.version(name).stat().st_ino
    assert versions.place(file, HERE) == name
    assert versions.layout.version(name).stat().st_ino == inode
    assert versions.place(file, HERE, anew=True) == f"{name}.2"
    assert versions.place(file, HERE, anew=True) == f"{name}.3"
    assert len(list(versions.layout.versions.iterdir())) == 3


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        ({"python": "3.12"}, "", "the bundle is for Python 3.12 on linux-x86_64; this host has Python 3.11"),
        ({"platform": "linux-aarch64"}, "", "on linux-aarch64"),
        ({"format": 2}, "", "format 2"),
        ({"build": "../../etc"}, "", "build is not to be used"),
        ({"version": ""}, "", "version is not to be used"),
        ({"python": 3.11}, "", "python is not to be used"),
        ({}, "import no_such_module", "No module named 'no_such_module'"),
        ({}, "import os; os._exit(3)", "it ended with exit code 3"),
        ({}, "import os; os.kill(os.getpid(), 9)", "signal 9 ended it"),
        ({}, "1 +", "SyntaxError"),
    ],
)
def test_a_version_that_can_not_run_here_leaves_nothing(
    versions: Versions, tmp_path: Path, said: dict[str, Any], code: str, reason: str
) -> None:
    """The reason is told, and the folder of versions is as it was."""
    whole = {**manifest("0.2.0"), **said}
    with pytest.raises(BadVersion, match=reason):
        versions.place(bundle(tmp_path, whole, code), HERE)
    assert list(versions.layout.versions.iterdir()) == []


def test_a_version_that_says_it_is_another_is_refused(versions: Versions, tmp_path: Path) -> None:
    """What is in the archive must be what it is called."""
    with pytest.raises(BadVersion, match=r"says that it is '0\.1\.0', not '0\.2\.0'"):
        versions.place(bundle(tmp_path, manifest("0.2.0"), version="0.1.0"), HERE)


def test_a_version_that_hangs_is_given_up(tmp_path: Path) -> None:
    """And so is what it started."""
    site = tmp_path / "site" / "outrider" / "agent"
    site.mkdir(parents=True)
    (site.parent / "__init__.py").write_text("")
    (site / "__init__.py").write_text("")
    (site / "app.py").write_text("import time; time.sleep(600)")
    with pytest.raises(BadVersion, match=r"hung: it could not be loaded within 0.5 s"):
        check(tmp_path, "0.2.0", seconds=0.5)


def test_an_archive_that_is_none_leaves_nothing(versions: Versions, tmp_path: Path) -> None:
    """Nor does one without a manifest."""
    none = tmp_path / "none"
    none.write_bytes(b"no archive")
    with pytest.raises(BadArchive):
        versions.place(none, HERE)
    with tarfile.open(none, "w:gz"):
        pass
    with pytest.raises(BadVersion, match="does not say what it is"):
        versions.place(none, HERE)
    assert list(versions.layout.versions.iterdir()) == []


def test_what_nothing_needs_is_removed(versions: Versions) -> None:
    """Both links, the trial's versions and nothing else stays; leftovers of killed installs go."""
    assert versions.remove_unused() == []
    fake(versions, "a", "b", "c", "d", "e")
    versions.carry_out([trials.Point(trials.CURRENT, "a"), trials.Point(trials.PREVIOUS, "b")])
    versions.propose("c", previous="a")
    for left in (".new-1234", ".leaving-1234"):
        (versions.layout.versions / left).mkdir()
    assert versions.remove_unused(but="d") == ["e"]
    assert sorted(path.name for path in versions.layout.versions.iterdir()) == ["a", "b", "c", "d"]
    assert versions.remove_unused() == ["d"]


def test_only_one_changes_versions_at_a_time(versions: Versions) -> None:
    """A second one is told so, and may when the first is done."""
    with versions.locked(), pytest.raises(Busy, match="another install or update"):
        versions.locked().__enter__()
    with versions.locked():
        assert versions.installed() == []


def test_only_one_version_is_tried_at_a_time(versions: Versions) -> None:
    """A trial that is under way is not replaced."""
    fake(versions, "a", "b")
    versions.use("a")
    versions.propose("b", previous="a", command="cmd_1", patience=7.0)
    assert versions.trial() == trials.Trial(version="b", previous="a", command="cmd_1", patience=7.0)
    with pytest.raises(Busy, match="another version is being tried"):
        versions.propose("b", previous="a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": "b"}',
        '{"version": 1, "previous": "a"}',
        '{"version": "b", "previous": "a", "stage": "dancing"}',
        '{"version": "b", "previous": "a", "patience": "long"}',
    ],
)
def test_a_trial_that_can_not_be_read_is_none(versions: Versions, text: str) -> None:
    """A launcher starts what is in use, whatever is in that file."""
    fake(versions, "a")
    versions.use("a")
    versions.layout.trial.write_text(text)
    assert versions.trial() is None
    assert trials.at_start(versions.state(HERE), 0.0) == trials.Start(acts=(), version="a")


def test_what_a_newer_release_wrote_down_is_read(versions: Versions) -> None:
    """Fields that it added are left out."""
    versions.layout.prefix.mkdir()
    versions.layout.trial.write_text('{"version": "b", "previous": "a", "colour": "green"}')
    assert versions.trial() == trials.Trial(version="b", previous="a")
    versions.layout.outcome.write_text('{"version": "b", "previous": "a", "good": true, "mood": 1}')
    assert versions.outcome() == trials.Outcome(version="b", previous="a", good=True)


def test_only_versions_for_this_python_fit(versions: Versions) -> None:
    """One for another Python, and one that does not say what it is, do not."""
    fake(versions, "a")
    fake(versions, "b", python="3.13")
    versions.layout.version("c").mkdir()
    assert versions.state(HERE).fitting == frozenset({"a"})
    assert versions.state(Target("3.13", "linux-x86_64")).fitting == frozenset({"b"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["start", "confirm", "give up"]), st.integers(0, 5)), max_size=6))
def test_a_host_killed_between_any_two_writes_comes_up(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """What is on disk after any number of writes leads to a version that fits, and the links never dangle."""
    versions = Versions(Layout(prefix=tmp_path_factory.mktemp("v") / "p"))
    fake(versions, "old", "new")
    versions.use("old")
    versions.propose("new", previous="old")
    for name, upto in steps:
        trial = versions.trial()
        acts: tuple[trials.Act, ...] = ()
        if name == "start":
            acts = trials.at_start(versions.state(HERE), 5.0).acts
        elif trial is not None and trial.stage == trials.BEGUN:
            acts = trials.confirmed(trial) if name == "confirm" else trials.given_up(trial, "why")
        versions.carry_out(acts[:upto])
        assert versions.layout.current.exists()
        assert not versions.layout.previous.is_symlink() or versions.layout.previous.exists()
        assert trials.at_start(versions.state(HERE), 6.0).version in {"old", "new"}
        assert not [left for left in os.listdir(versions.layout.prefix) if left.endswith(".tmp")]  # noqa: PTH208 - names alone


def test_removing_is_out_of_sight_at_once(versions: Versions) -> None:
    """A version that is being removed has no name any more: a kill in between leaves no half version."""
    fake(versions, "a", "b")
    versions.use("a")
    leaving = versions.layout.versions / ".leaving-0123"
    versions.layout.version("b").rename(leaving)
    assert versions.installed() == ["a"]
    assert versions.remove_unused() == []
    assert not leaving.exists()
