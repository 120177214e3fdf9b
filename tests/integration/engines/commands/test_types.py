"""The types that are more, or less, than a shell line."""

import json
import socket

import pytest

from outrider.domain.command_states import CommandState
from outrider.domain.output import STDOUT
from tests.integration.engines.conftest import Host

_S = CommandState


async def test_ping(host: Host) -> None:
    """The agent answers pong."""
    done = await host.do("ping")
    assert (done.stdout, done.outcome.state, done.outcome.exit_code) == (b"pong\n", _S.SUCCEEDED, 0)


async def test_system_info(host: Host) -> None:
    """One JSON object with the host's facts and the agent's version."""
    done = await host.do("system_info")
    info = json.loads(done.stdout)
    assert done.outcome.state is _S.SUCCEEDED
    assert info["hostname"] == socket.gethostname()
    assert info["agent_version"] == "1.2.3"


@pytest.mark.parametrize("kind", ["ping", "system_info"])
async def test_cancelled_before_they_run(host: Host, kind: str) -> None:
    """What was cancelled or interrupted in time says nothing; the first word counts."""
    cancelled, interrupted = host.begin(kind), host.begin(kind)
    cancelled.execution.cancel()
    cancelled.execution.interrupt("late")
    interrupted.execution.interrupt("the agent stops")
    assert (await cancelled.run()).outcome.state is _S.CANCELLED
    outcome = (await interrupted.run()).outcome
    assert (outcome.state, outcome.reason) == (_S.INTERRUPTED, "the agent stops")
    assert cancelled.capture.total(STDOUT) == 0


async def test_a_script_with_arguments(host: Host) -> None:
    """The body is a private file that the interpreter gets before the arguments; afterwards it is gone."""
    body = 'printf "%s|" "$@"; stat -c %a "$0"; stat -c %a "$(dirname "$0")"'
    done = await host.do("script", body=body, args=["a b", "", "$x"])
    assert done.stdout == b"a b||$x|600\n700\n"
    assert list(host.scratch.iterdir()) == []


@pytest.mark.parametrize("interpreter", ["python3", "/usr/bin/env"])
async def test_other_interpreters(host: Host, interpreter: str) -> None:
    """An interpreter is found by name in PATH or by its path."""
    if interpreter == "python3":
        done = await host.do("script", body="import sys; sys.exit(len(sys.argv))", interpreter=interpreter)
        assert done.outcome.exit_code == 1
    else:
        # env refuses a file that is not executable: the interpreter did get it.
        done = await host.do("script", body="x", interpreter=interpreter)
        assert done.outcome.exit_code == 126


async def test_a_scripts_path_is_looked_up_in_its_own_path(
    host: Host, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A PATH given with the command decides which interpreter runs."""
    tools = tmp_path_factory.mktemp("tools")
    (tools / "special").write_text("#!/bin/sh\necho special\n")
    (tools / "special").chmod(0o755)
    done = await host.do("script", body="x", interpreter="special", env={"PATH": f"{tools}:/usr/bin:/bin"})
    assert done.stdout == b"special\n"
