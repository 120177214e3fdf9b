"""Commands that can't be started: nothing runs, and the reason says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import outrider
from outrider.domain.command_states import CommandState
from tests.integration.engines.conftest import Host

_NOBODY = 65534


def _inaccessible(folder: Path) -> str:
    (folder / "file").touch()
    return str(folder / "file")


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"cwd": "/no/such/folder"}, "entering /no/such/folder failed: No such file or directory"),
        ({"cwd": "/etc/passwd"}, "entering /etc/passwd failed: Not a directory"),
        ({"cwd": "etc"}, "not an absolute path"),
        ({"cwd": "/etc\0x"}, "NUL"),
        ({"env": {"X": "a\0b"}}, "NUL"),
        ({"command": "echo a\0b"}, "NUL"),
        ({"user": "no-such-user"}, "no user 'no-such-user'"),
        ({"env": {f"X{i}": "x" * 32768 for i in range(256)}}, "more than the kernel takes"),
    ],
)
async def test_what_stands_in_the_way(host: Host, params: dict[str, object], reason: str) -> None:
    """The command has failed without an exit code; the reason names the cause."""
    outcome = (await host.do("shell", **{"command": "true", **params})).outcome
    assert (outcome.state, outcome.exit_code, outcome.signal) == (CommandState.FAILED, None, None)
    assert outcome.reason.startswith("it could not be started: ")
    assert reason in outcome.reason


@pytest.mark.parametrize(
    ("interpreter", "reason"),
    [
        ("no-such-interpreter", "is not in PATH"),
        ("/no/such/interpreter", "is not there or can't be run"),
        ("/etc/passwd", "is not there or can't be run"),
        ("bin/sh", "neither a program's name nor an absolute path"),
        ("/", "is not there or can't be run"),
    ],
)
async def test_an_interpreter_that_is_not_there(host: Host, interpreter: str, reason: str) -> None:
    """The reason says how it was looked for, and no script is left behind."""
    outcome = (await host.do("script", body="x", interpreter=interpreter)).outcome
    assert outcome.state is CommandState.FAILED
    assert reason in outcome.reason
    assert not host.scratch.exists() or list(host.scratch.iterdir()) == []


async def test_a_program_for_no_machine(host: Host, tmp_path: Path) -> None:
    """An executable file that the kernel can't run is told, and its script is removed."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF broken")
    program.chmod(0o755)
    outcome = (await host.do("script", body="x", interpreter=str(program))).outcome
    assert "neither a program for this machine nor a script" in outcome.reason
    assert list(host.scratch.iterdir()) == []


async def test_no_room_for_scripts(host: Host) -> None:
    """When the script can't be written the command fails and says at which step."""
    host.scratch.write_text("a file where the folder should be")
    outcome = (await host.do("script", body="x")).outcome
    assert outcome.state is CommandState.FAILED
    assert "writing the script failed" in outcome.reason


def test_only_root_becomes_somebody_else() -> None:
    """An ordinary agent refuses another user clearly, and takes its own name."""
    program = (
        "import os, pwd\n"
        "from outrider.engines.commands.accounts import find_account\n"
        "from outrider.engines.commands.start_errors import CannotStart\n"
        f"if os.getuid() == 0: os.setgroups([]); os.setgid({_NOBODY}); os.setuid({_NOBODY})\n"
        "own = pwd.getpwuid(os.getuid()).pw_name\n"
        "assert not find_account(own).switch\n"
        "try: find_account('root')\n"
        "except CannotStart as error: print(error.reason)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(Path(outrider.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "can't become 'root'" in done.stdout


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="run as root")
class TestAnotherUser:
    """An agent that runs as root starts commands as other users."""

    async def test_ids_groups_and_environment(self, host: Host) -> None:
        """User, group and supplementary groups are those of a login; nothing of root's is left."""
        done = await host.shell("id -u; id -g; id -G; echo $USER $HOME; pwd", user="nobody")
        assert done.stdout.decode().split() == [
            "65534", "65534", "65534", "nobody", "/nonexistent", "/"
        ]  # fmt: skip

    async def test_the_streams_can_be_opened_anew(self, host: Host) -> None:
        """/dev/stdin and its sisters belong to the user, as in a terminal."""
        done = await host.shell(
            "cat /dev/stdin > /dev/stdout; echo e > /dev/stderr", user="nobody", stdin="x"
        )
        assert (done.stdout, done.stderr, done.outcome.exit_code) == (b"x", b"e\n", 0)

    async def test_a_script_can_be_read_by_its_user_alone(self, host: Host) -> None:
        """The private script lies where the user reaches it, and is gone afterwards."""
        done = await host.do("script", body='stat -c "%U %a" "$0"; echo "$0"', user="nobody")
        owner, mode, path = done.stdout.decode().split()
        assert (owner, mode) == ("nobody", "600")
        assert not Path(path).parent.exists()
        assert list(host.scratch.iterdir()) == []

    async def test_no_way_into_closed_folders(self, host: Host, tmp_path: Path) -> None:
        """The agent's rights open no folder for the user, also not one behind a closed one."""
        closed = tmp_path / "closed"
        (closed / "open").mkdir(parents=True)
        closed.chmod(0o700)
        outcome = (await host.shell("ls", user="nobody", cwd=str(closed / "open"))).outcome
        assert outcome.state is CommandState.FAILED
        assert "nobody can't enter" in outcome.reason

    async def test_a_folder_that_is_open(self, host: Host) -> None:
        """A folder that the user may enter is entered."""
        assert (await host.shell("pwd", user="nobody", cwd="/usr/share")).stdout == b"/usr/share\n"

    async def test_a_program_closed_to_the_user(self, host: Host, tmp_path: Path) -> None:
        """An interpreter that only root may run is refused for another user."""
        program = tmp_path / "interpreter"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o700)
        outcome = (await host.do("script", body="x", interpreter=str(program), user="nobody")).outcome
        assert "nobody may not run" in outcome.reason

    async def test_the_agents_own_name_changes_nothing(self, host: Host) -> None:
        """Root may be named where the agent is root."""
        assert (await host.shell("id -u", user="root")).stdout == b"0\n"
