"""Where scripts lie, and that none is forgotten."""

import os
import stat
from pathlib import Path

from outrider.domain.ids import CommandId, new_command_id
from outrider.engines.commands.accounts import Account, find_account
from outrider.engines.commands.script_folder import ScriptFolder, sweep_scripts


def test_a_private_file_that_goes_away(tmp_path: Path) -> None:
    """Folder and file are for their user alone, and removing leaves nothing; twice is fine."""
    folder = ScriptFolder(tmp_path / "scratch", new_command_id(0))
    script = folder.write("echo é\n", find_account(None))
    assert script.read_bytes() == "echo é\n".encode()
    assert stat.S_IMODE(script.stat().st_mode) == 0o600
    assert stat.S_IMODE(script.parent.stat().st_mode) == 0o700
    folder.remove()
    folder.remove()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_another_users_script_is_where_that_user_may_go(tmp_path: Path) -> None:
    """The scratch folder is the agent's own, so the script lies elsewhere, and a link remembers it."""
    me = find_account(None)
    other = Account(
        name=me.name,
        uid=os.getuid(),
        gid=os.getgid(),
        groups=(),
        home="/",
        login_shell="/bin/sh",
        switch=True,
    )
    command_id = new_command_id(0)
    script = ScriptFolder(tmp_path, command_id).write("x", other)
    assert tmp_path not in script.parents
    assert (tmp_path / command_id).readlink() == script.parent
    sweep_scripts(tmp_path, ())
    assert not script.parent.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_sweep_keeps_what_runs_on(tmp_path: Path) -> None:
    """What a killed agent left goes; the script of a command that was handed over stays."""
    kept, gone = CommandId("cmd_kept00000000"), CommandId("cmd_gone00000000")
    for command_id in (kept, gone):
        ScriptFolder(tmp_path, command_id).write("x", find_account(None))
    sweep_scripts(tmp_path, {kept})
    assert [entry.name for entry in tmp_path.iterdir()] == [kept]
    sweep_scripts(tmp_path / "none", ())
