"""`processes` on this machine, and where /proc hides what belongs to others."""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from outrider.domain.command_states import CommandState
from outrider.engines.commands.processes import living_processes
from tests.integration.engines.conftest import Host

_S = CommandState
_LOOK_AROUND: Final = """
import asyncio, json, sys
from pathlib import Path
from tests.integration.engines.conftest import Host

done = asyncio.run(Host(Path(sys.argv[1])).do("processes", sample=0, limit=10_000))
found = json.loads(done.stdout)
print(json.dumps([done.outcome.state, done.outcome.reason, found.get("hidden"),
                  sorted({each["user"] for each in found["processes"]})]))
"""
_WORK: Final = "print(flush=True)\nwhile True: pass"
_AS_NOBODY: Final = (
    "setpriv",
    "--reuid=nobody",
    "--regid=nogroup",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)


async def _listed(host: Host, **params: object) -> dict[str, Any]:
    done = await host.do("processes", **{"sample": 0, **params})
    assert done.outcome.state is _S.SUCCEEDED, done.outcome
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def test_this_very_process_is_in_the_list(host: Host) -> None:
    """Every fact about a process we know is right; the list is sorted, and counts what its limit cut."""
    answer = await _listed(host, sort="pid", limit=10_000)
    pids = [each["pid"] for each in answer["processes"]]
    assert pids == sorted(pids)
    assert (answer["count"], answer["left_out"]) == (len(pids), 0)
    (own,) = (each for each in answer["processes"] if each["pid"] == os.getpid())
    assert own["ppid"] == os.getppid()
    assert own["user"] == pwd.getpwuid(os.geteuid()).pw_name
    assert own["state"] in {"running", "sleeping"}
    assert own["rss_bytes"] > 1_000_000
    assert 0 < own["started"] < host.clock.time()
    assert "python" in own["command"]
    assert len((await _listed(host, limit=1))["processes"]) == 1


async def test_filters(host: Host, sleeper: subprocess.Popen[bytes]) -> None:
    """By exact name, by text in the command line, and by who owns it."""
    owner = pwd.getpwuid(os.geteuid()).pw_name
    named = await _listed(host, name="sleep", owner=owner, match="SLEEP 100")
    assert sleeper.pid in [each["pid"] for each in named["processes"]]
    assert (await _listed(host, name="slee"))["count"] == 0
    assert (await _listed(host, owner="somebody-who-is-not-here"))["count"] == 0


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that works all the time."""
    with subprocess.Popen([sys.executable, "-c", _WORK], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def churn() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that starts others all the time, which end at once."""
    line = "while :; do /bin/true & done"
    with subprocess.Popen(["/bin/sh", "-c", line], start_new_session=True) as process:
        yield process
        process.kill()


async def test_the_use_of_the_processor(
    host: Host, busy: subprocess.Popen[bytes], sleeper: subprocess.Popen[bytes]
) -> None:
    """What is busy shows in the measure; what sleeps does not."""
    found = (await _listed(host, sample=0.3, limit=10_000))["processes"]
    used = {each["pid"]: each["cpu_percent"] for each in found}
    assert used[busy.pid] > 0
    assert used[sleeper.pid] == 0


async def test_cancelled_while_it_measures(host: Host) -> None:
    """A cancel does not wait for the sample to be over."""
    begun = host.begin("processes", sample=10)
    begun.execution.cancel()
    assert (await begun.run()).outcome.state is _S.CANCELLED


async def test_processes_that_come_and_go(host: Host, churn: subprocess.Popen[bytes]) -> None:
    """What ends while it is looked at is left out, and no fault."""
    for _ in range(20):
        answer = await _listed(host, sample=0.01, limit=10_000)
        assert churn.pid in {each["pid"] for each in answer["processes"]}


@pytest.mark.skipif(os.geteuid() != 0, reason="run as root")
@pytest.mark.parametrize("level", ["off", "noaccess", "invisible", "ptraceable"])
def test_a_proc_that_hides_others(tmp_path: Path, level: str) -> None:
    """An agent that may not see everybody lists what it sees and says what hides the rest."""
    tmp_path.chmod(0o777)
    option = "hidepid=0" if level == "off" else f"hidepid={level}"
    mounted = f'mount -t proc -o {option} proc /proc && exec "$@"'
    program = [*_AS_NOBODY, sys.executable, "-c", _LOOK_AROUND, str(tmp_path)]
    done = subprocess.run(
        ["/usr/bin/unshare", "--mount", "sh", "-c", mounted, "sh", *program],
        check=True,
        capture_output=True,
        cwd=Path(__file__).parents[4],
    )
    state, reason, hidden, users = json.loads(done.stdout)
    assert state == "succeeded"
    if level == "off":
        assert (reason, hidden) == ("", None)
        assert "root" in users
    else:
        assert users == ["nobody"]
        assert f"(hidepid={level})" in reason
        assert f"(hidepid={level})" in hidden


async def test_hidden_processes_are_walked_past() -> None:
    """Looking for what a command has left does not fail where some of /proc is closed."""
    assert os.getpid() in {stat.pid for stat in living_processes()}
