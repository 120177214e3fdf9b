"""The edge API's key: made once, for its owner and group alone, and shown where other programs look."""

import re
import stat
from pathlib import Path

import pytest

from outrider.agent.local.edge.key_file import load_or_make_key, show_to_other_programs

_KEY = re.compile(r"[A-Za-z0-9]{32}")


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    """32 letters and digits in the first line; the next start reads the same, and closes the file again."""
    file = tmp_path / "local-api"
    key = load_or_make_key(file)
    assert _KEY.fullmatch(key)
    assert file.read_text() == f"{key}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    file.chmod(0o666)
    assert load_or_make_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert load_or_make_key(tmp_path / "other") != key


@pytest.mark.parametrize("content", [b"", b"short\n", b"x" * 33, b"\xff" * 32, b"a" * 100_000])
def test_what_is_no_key_is_replaced(tmp_path: Path, content: bytes) -> None:
    """A damaged file never lets an empty or a guessed key in."""
    file = tmp_path / "local-api"
    file.write_bytes(content)
    assert _KEY.fullmatch(load_or_make_key(file))


def test_without_a_disk_nobody_has_the_key(tmp_path: Path) -> None:
    """The agent starts; the key is one that nobody can read."""
    missing = tmp_path / "missing" / "local-api"
    assert load_or_make_key(missing) != load_or_make_key(missing)


def test_it_is_put_where_other_programs_look_unless_the_original_lives_there(tmp_path: Path) -> None:
    """A folder of our own is made and kept up to date; the original agent's is left as it is."""
    file = tmp_path / "iofog-agent" / "local-api"
    for key in ("a" * 32, "b" * 32):
        assert show_to_other_programs(key, file)
        assert file.read_text() == f"{key}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    (file.parent / "config.xml").touch()
    assert not show_to_other_programs("c" * 32, file)
    assert file.read_text() == "b" * 32 + "\n"
    assert not show_to_other_programs("d" * 32, tmp_path / "no" / "where" / "local-api")
