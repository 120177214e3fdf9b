"""Updates of an installed agent: a new version proves good, or the host is back on the old one."""

import asyncio
import json
import os
import random
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from outrider.agent.enrolment_record import EnrolmentRecord
from outrider.bootstrap.launch import NO_WAY
from outrider.bootstrap.program import program
from outrider.bootstrap.target import Target
from outrider.domain.command_states import CommandState
from outrider.domain.enrolment import new_agent_key
from outrider.domain.ids import CommandId, new_agent_id
from outrider.domain.output import STDOUT
from outrider.protocol.messages import Cancel, Finished
from outrider.testing.center import FakeCenter
from tests.acceptance.host_processes import living
from tests.fixtures.agent_bundles import AgentFiles, Bundle, manifest_of, write_bundle
from tests.fixtures.installed_agent import InstalledHost, Template

pytestmark = pytest.mark.slow

_KILLS: Final = 4
WITHIN: Final = 90.0
"""Seconds in which an update is over, also on a busy machine."""


class Bundles:
    """Bundles of this agent, made when a test asks."""

    def __init__(self, folder: Path) -> None:
        """Make the one that hosts begin with."""
        compiled = folder / "compiled"
        compiled.mkdir()
        self.files = AgentFiles(compiled)
        self._folder = folder
        self._made: dict[str, Bundle] = {}
        self.template = Template(folder / "template", self._write("0.1.0", {}, {}))

    async def make(
        self,
        version: str,
        changed: Mapping[str, str] | None = None,
        said: Mapping[str, object] | None = None,
    ) -> Bundle:
        """Make a bundle with changed sources; `said` goes into what it says of itself."""
        return await asyncio.to_thread(self._write, version, changed or {}, said or {})

    def _write(self, version: str, changed: Mapping[str, str], said: Mapping[str, object]) -> Bundle:
        key = repr((version, changed, said))
        if key not in self._made:
            folder = self._folder / str(len(self._made))
            folder.mkdir()
            content = self.files.content(version, changed, with_identity=False)
            self._made[key] = write_bundle(folder, {**manifest_of(version, content), **said}, content)
        return self._made[key]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Bundles of this agent."""
    return Bundles(tmp_path_factory.mktemp("bundles"))


@asynccontextmanager
async def installed(
    folder: Path, bundles: Bundles, center: FakeCenter, disk: str = ""
) -> AsyncIterator[InstalledHost]:
    """Run a host with the first version, linked; `disk` names a folder in its prefix with little room."""
    host = InstalledHost(folder, bundles.template, center.url, disk=disk)
    record = EnrolmentRecord(center_url=center.url, agent_key=new_agent_key(), agent_id=new_agent_id(0))
    bundles.template.enrol(host.layout, record)
    center.knows(str(record.agent_id), record.agent_key)
    async with host:
        await center.linked()
        yield host


@pytest_asyncio.fixture
async def host(tmp_path: Path, bundles: Bundles, center: FakeCenter) -> AsyncIterator[InstalledHost]:
    """A host that runs the first version, linked."""
    async with installed(tmp_path, bundles, center) as host:
        yield host


async def updated(center: FakeCenter, bundle: Bundle, **params: object) -> Finished:
    """Offer a bundle, have the newest linked host updated to it, and return what comes of the command."""
    center.shelf.put(bundle.file, bundle.manifest)
    return await ended(center, await center.execute("update_agent", **params))


async def ended(center: FakeCenter, command: CommandId) -> Finished:
    """Return what comes of an update."""
    await center.until(lambda: bool(center.results[command]), WITHIN)
    return center.results[command][0]


APP: Final = "outrider/agent/app.py"
_BEFORE_THE_LOOP: Final = "    daemon = Daemon(settings"


def at_start(line: str) -> tuple[str, str]:
    """A change of the daemon: it does something else before its loop begins."""
    return _BEFORE_THE_LOOP, f"    {line}\n{_BEFORE_THE_LOOP}"


async def test_a_good_version_takes_over(host: InstalledHost, center: FakeCenter, bundles: Bundles) -> None:
    """The process stays, a long command runs on, and the result names both versions."""
    pid = host.program.pid
    long = await center.execute("shell", command="echo before; sleep 3; echo after; exit 7")
    await center.started(long)
    bundle = await bundles.make("0.2.0")
    finished = await updated(center, bundle)
    assert finished.state is CommandState.SUCCEEDED, host.log
    assert finished.reason.startswith("updated from 0.1.0 (build ")
    assert f"to 0.2.0 (build {bundle.manifest['build']})" in finished.reason
    told = center.stored(finished.id, STDOUT).decode().splitlines()
    assert told[0] == f"the center offers 0.2.0, build {bundle.manifest['build']}"
    assert [line for line in told if line.startswith("downloaded")] == [
        f"downloaded {share} %" for share in (25, 50, 75, 100)
    ]
    assert told[-1].endswith("the agent restarts")
    assert host.program.pid == pid
    ended = await center.result(long)
    assert (ended.state, ended.exit_code) == (CommandState.FAILED, 7)
    assert center.stored(long, STDOUT) == b"before\nafter\n"
    facts = center.hellos[-1].facts
    assert (facts.agent_version, facts.agent_build) == ("0.2.0", bundle.manifest["build"])
    assert facts.agent_target == f"cp311-{bundle.manifest['platform']}"
    assert "update_agent" in facts.abilities
    assert host.versions.current == bundle.folder
    assert host.versions.previous == host.first
    assert host.versions.trial() is None
    assert host.standing()["build"] == bundle.manifest["build"]
    shown = center.shelf.headers[-1]
    assert shown["X-Agent-Id"] == host.agent_id
    assert "X-Agent-Key" in shown


async def test_old_versions_and_the_old_launcher_go(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """After a second update the first version is removed, and the launcher is the newest one's."""
    host.layout.program.write_bytes(host.layout.program.read_bytes() + b"an older one")
    second, third = await bundles.make("0.2.0"), await bundles.make("0.3.0")
    for bundle in (second, third):
        assert (await updated(center, bundle)).state is CommandState.SUCCEEDED, host.log
    await host.logged("launcher_renewed", times=2)
    assert host.versions.installed() == sorted([second.folder, third.folder])
    assert host.layout.program.read_bytes() == program()
    assert sorted(path.name for path in host.layout.versions.iterdir()) == sorted(
        [second.folder, third.folder]
    )


@pytest.mark.parametrize(
    ("line", "patience", "reason"),
    [
        ("raise RuntimeError('broken on purpose')", 60.0, "RuntimeError: broken on purpose"),
        ("os._exit(3)", 60.0, "s after its start, before it had reached the center"),
        ("return 5", 60.0, "it stopped by itself, with exit code 5"),
        ("__import__('time').sleep(600)", 4.0, "it hung: 5 s after its start"),
        ("raise CannotStart('no such setting', exit_code=2)", 60.0, "no such setting"),
    ],
)
async def test_a_version_that_does_not_start_is_gone_back_from(
    host: InstalledHost, center: FakeCenter, bundles: Bundles, line: str, patience: float, reason: str
) -> None:
    """The old version runs again, links, and says why the new one failed."""
    bundle = await bundles.make("0.2.0", bundles.files.source(APP, at_start(line)))
    finished = await updated(center, bundle, patience=patience)
    assert finished.state is CommandState.FAILED, host.log
    assert finished.reason.startswith(f"0.2.0 (build {bundle.manifest['build']}) failed, and 0.1.0 (build ")
    assert reason in finished.reason
    assert center.hellos[-1].facts.agent_version == "0.1.0"
    assert host.versions.current == host.first
    assert host.versions.trial() is None
    assert "failed" in host.log


async def test_a_version_that_does_not_reach_the_center_makes_way(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """It goes back by itself, in the same process, and says what it met; commands run on through both."""
    pid = host.program.pid
    long = await center.execute("shell", command="echo before; sleep 12; echo after")
    await center.started(long)
    door = bundles.files.source(
        "outrider/agent/center_door.py", ('"/api/agents/link"', '"/api/agents/nowhere"')
    )
    finished = await updated(center, await bundles.make("0.2.0", door), patience=8.0)
    assert finished.state is CommandState.FAILED, host.log
    assert "the center had not answered it within 8 s (the center " in finished.reason
    assert host.program.pid == pid
    assert (await center.result(long)).state is CommandState.SUCCEEDED
    assert center.stored(long, STDOUT) == b"before\nafter\n"


async def test_a_version_that_can_not_be_loaded_is_never_tried(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """Nothing restarts, and nothing of it stays."""
    broken = bundles.files.source(APP, ("import random\n", "import random\nimport no_such_module\n"))
    finished = await updated(center, await bundles.make("0.2.0", broken))
    assert finished.state is CommandState.FAILED
    assert "can't be loaded: ModuleNotFoundError: No module named 'no_such_module'" in finished.reason
    assert len(center.hellos) == 1
    assert [path.name for path in host.layout.versions.iterdir()] == [host.first]


async def test_a_bundle_that_is_not_for_this_host_is_refused(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """What it says of itself is compared with the host."""
    finished = await updated(center, await bundles.make("0.2.0", said={"python": "3.12"}))
    assert finished.state is CommandState.FAILED
    assert "the bundle is for Python 3.12" in finished.reason
    assert [path.name for path in host.layout.versions.iterdir()] == [host.first]


async def test_what_was_changed_on_the_way_is_refused(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """A wrong checksum is named, and nothing of what came stays."""
    center.shelf.spoiled = True
    finished = await updated(center, await bundles.make("0.2.0"))
    assert finished.state is CommandState.FAILED
    assert "is not what was offered: its SHA-256 is not" in finished.reason
    assert list((host.layout.prefix / "downloads").iterdir()) == []
    assert host.versions.installed() == [host.first]


async def test_a_full_disk_is_named_and_not_filled_further(
    tmp_path: Path, bundles: Bundles, center: FakeCenter
) -> None:
    """What came of the bundle is given back; with room the next update goes well."""
    async with installed(tmp_path, bundles, center, disk="downloads") as host:
        finished = await updated(center, await bundles.make("0.2.0"))
        assert finished.state is CommandState.FAILED
        assert "this host's disk does not take it: No space left on device" in finished.reason
        assert host.listed("downloads") == []
        assert host.versions.installed() == [host.first]


async def test_a_restart_in_place_goes_through_the_launcher(host: InstalledHost, center: FakeCenter) -> None:
    """Commands run on, in the same process; the launcher starts what `current` leads to."""
    pid = host.program.pid
    long = await center.execute("shell", command="echo before; sleep 3; echo after")
    await center.started(long)
    host.program.signal(signal.SIGHUP)
    await center.until(lambda: len(center.hellos) > 1 and bool(center.link_count), WITHIN)
    assert (await ended(center, long)).state is CommandState.SUCCEEDED
    assert center.stored(long, STDOUT) == b"before\nafter\n"
    assert host.program.pid == pid


async def test_a_cut_download_goes_on(host: InstalledHost, center: FakeCenter, bundles: Bundles) -> None:
    """What had come is not asked for again."""
    center.shelf.cut_after = [300_000]
    finished = await updated(center, await bundles.make("0.2.0"))
    assert finished.state is CommandState.SUCCEEDED, host.log
    first, second = center.shelf.ranges
    assert first == ""
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 300_000


@pytest.mark.usefixtures("host")
async def test_a_center_without_a_bundle_says_what_to_do(center: FakeCenter) -> None:
    """Its own words are the command's reason."""
    command = await center.execute("update_agent", version="9.9.9")
    finished = await ended(center, command)
    assert finished.state is CommandState.FAILED
    assert finished.reason == "There is no bundle for it: outrider center bundle build."
    asked = center.shelf.asked[-1]
    assert (asked["version"], asked["python"]) == ("9.9.9", "3.11")


async def test_the_version_that_runs_is_not_put_there_again_unless_forced(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """Without force nothing is downloaded; with it the same version is put beside itself, and tried."""
    bundle = await bundles.make("0.2.0")
    assert (await updated(center, bundle)).state is CommandState.SUCCEEDED, host.log
    again = await updated(center, bundle)
    assert again.state is CommandState.SUCCEEDED
    assert again.reason == f"0.2.0 (build {bundle.manifest['build']}) runs here already"
    assert len(center.shelf.ranges) == 1
    forced = await updated(center, bundle, force=True)
    assert forced.state is CommandState.SUCCEEDED, host.log
    assert host.versions.current == f"{bundle.folder}.2"
    assert host.versions.previous == bundle.folder


async def test_one_update_at_a_time(host: InstalledHost, center: FakeCenter, bundles: Bundles) -> None:
    """A second one is refused while the first is at work; the first can be cancelled until it is tried."""
    bundle = await bundles.make("0.2.0")
    center.shelf.hold()
    center.shelf.put(bundle.file, bundle.manifest)
    first = await center.execute("update_agent")
    await center.shelf.halfway.wait()
    second = await center.result(await center.execute("update_agent"))
    assert second.state is CommandState.FAILED
    assert "another install or update is at work" in second.reason
    await center.say(Cancel(id=first))
    cancelled = await center.result(first)
    assert (cancelled.state, cancelled.reason) == (CommandState.CANCELLED, "before it was tried: cancelled")
    center.shelf.release()
    assert (await updated(center, bundle)).state is CommandState.SUCCEEDED, host.log
    assert center.shelf.ranges[-1] != ""


async def test_an_agent_killed_during_the_download_leaves_nothing_running(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """Its next start ends what fetched and tells so; the next update goes on with what had come."""
    bundle = await bundles.make("0.2.0")
    center.shelf.hold()
    center.shelf.put(bundle.file, bundle.manifest)
    command = await center.execute("update_agent")
    await center.shelf.halfway.wait()
    host.kill()
    finished = await ended(center, command)
    assert finished.state is CommandState.INTERRUPTED
    assert living([command]) == {}
    center.shelf.release()
    assert (await updated(center, bundle)).state is CommandState.SUCCEEDED, host.log
    assert int(center.shelf.ranges[-1].removeprefix("bytes=").removesuffix("-")) > 0


@pytest.mark.usefixtures("host")
async def test_the_program_that_fetches_may_be_killed(center: FakeCenter, bundles: Bundles) -> None:
    """The command fails with what can be said, and nothing restarts."""
    bundle = await bundles.make("0.2.0")
    center.shelf.hold()
    center.shelf.put(bundle.file, bundle.manifest)
    command = await center.execute("update_agent")
    await center.shelf.halfway.wait()
    for pid in living([command]):
        os.kill(pid, signal.SIGKILL)
    finished = await ended(center, command)
    assert finished.state is CommandState.FAILED
    assert "signal 9" in finished.reason
    assert len(center.hellos) == 1


async def test_a_version_killed_on_trial_is_gone_back_from(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """Kill -9 before it had reached the center: the old version runs again and says so."""
    bundle = await bundles.make("0.2.0")
    center.shelf.put(bundle.file, bundle.manifest)
    center.answer_with = 503
    command = await center.execute("update_agent", patience=60.0)
    await host.logged("this version is on trial")
    host.kill()
    center.answer_with = None
    finished = await ended(center, command)
    assert finished.state is CommandState.FAILED
    assert re.search(r"it ended \d+ s after its start, before it had reached the center", finished.reason)
    assert host.versions.current == host.first


async def test_an_agent_killed_between_writing_down_and_proposing_has_changed_nothing(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """What was proposed while no agent ran is tried at the next start, and nobody's command."""
    bundle = await bundles.make("0.2.0")
    await host.stop()
    await asyncio.to_thread(host.versions.place, bundle.file, Target.here())
    host.versions.propose(bundle.folder, previous=host.first)
    await host.start()
    await center.until(lambda: center.hellos[-1].facts.agent_version == "0.2.0", WITHIN)
    await host.logged("this version has proved good")
    assert host.versions.previous == host.first


@pytest.mark.timeout(300)
async def test_an_update_killed_at_any_moment_leaves_a_host_that_comes_up(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """Kill -9 at random in download, unpacking, check, switch, trial and proof: each has one true end."""
    rng = random.Random(seed := random.SystemRandom().randrange(2**32))  # noqa: S311 - chooses moments
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails, to repeat it
    took = 0.0
    for number in range(_KILLS + 1):
        bundle = await bundles.make(f"0.2.{number}")
        before = host.versions.current
        began = asyncio.get_running_loop().time()
        center.shelf.put(bundle.file, bundle.manifest)
        # It may have restarted once more to tidy up.
        await center.until(lambda: bool(center.link_count), WITHIN)
        command = await center.execute("update_agent")
        if number:
            await asyncio.sleep(took * rng.random())
            host.kill()
        finished = await ended(center, command)
        assert number or finished.state is CommandState.SUCCEEDED, host.log
        took = took or asyncio.get_running_loop().time() - began
        print(f"{number}: {finished.state} {finished.reason}")  # noqa: T201 - likewise
        if finished.state is CommandState.SUCCEEDED:
            assert host.versions.current == bundle.folder
        else:
            assert host.versions.current == before, (finished.reason, host.log)
        await center.until(
            lambda: (
                bool(center.link_count)
                and center.hellos[-1].facts.agent_build in (host.versions.current or "")
            ),
            WITHIN,
        )
        assert host.versions.trial() is None
        assert living([command]) == {}
    assert not [left for left in host.layout.prefix.iterdir() if left.name.endswith(".tmp")]


@pytest.mark.usefixtures("agent")
async def test_an_agent_that_was_not_installed_says_how_to_adopt_it(center: FakeCenter) -> None:
    """It fails at once, and does not name the ability."""
    finished = await center.result(await center.execute("update_agent"))
    assert finished.state is CommandState.FAILED
    assert "--adopt" in finished.reason
    facts = center.hellos[-1].facts
    assert "update_agent" not in facts.abilities
    assert (facts.agent_build, facts.agent_target) == ("", "")


async def test_a_policy_may_forbid_updates(host: InstalledHost, center: FakeCenter) -> None:
    """The host's owner decides which agent runs."""
    host.forbid("update_agent")
    finished = await center.result(await center.execute("update_agent"))
    assert finished.state is CommandState.FAILED
    assert "forbids update_agent" in finished.reason


async def test_another_python_gets_another_bundle(
    host: InstalledHost, center: FakeCenter, bundles: Bundles
) -> None:
    """After an upgrade of the system no version fits: the launcher waits for the center, and fetches one.

    The other Python is stood in for by the version that is in place: it says that it is for Python 3.10.
    """
    await host.stop()
    manifest = host.layout.version(host.first) / "bundle.json"
    record = json.loads(manifest.read_bytes())
    manifest.unlink()
    manifest.write_text(json.dumps({**record, "python": "3.10"}))
    center.shelf.refuse_with = (404, "no_bundle", "There is no bundle for Python 3.11.")
    await host.start()
    await host.logged("no version could be fetched: There is no bundle for Python 3.11.")
    await host.logged("trying again in")
    assert NO_WAY not in host.log
    bundle = await bundles.make("0.2.0")
    center.shelf.put(bundle.file, bundle.manifest)
    center.shelf.refuse_with = None
    await center.until(lambda: center.hellos[-1].facts.agent_version == "0.2.0", WITHIN)
    await host.logged("this version has proved good")
    assert host.versions.current == bundle.folder
    assert "X-Agent-Key" in center.shelf.headers[-1]


async def test_another_python_on_a_host_that_waits_for_its_center_says_what_to_do(
    host: InstalledHost, center: FakeCenter
) -> None:
    """Without an agent nobody waits: the launcher asks by a way out, and says what else there is."""
    await host.stop()
    manifest = host.layout.version(host.first) / "bundle.json"
    record = json.loads(manifest.read_bytes())
    manifest.unlink()
    manifest.write_text(json.dumps({**record, "python": "3.10"}))
    center.shelf.refuse_with = (404, "no_bundle", "There is no bundle for Python 3.11.")
    host.layout.settings.write_text('link_listen = "127.0.0.1:3850"\n')
    await host.start()
    await host.logged(NO_WAY)
    await host.stop()
