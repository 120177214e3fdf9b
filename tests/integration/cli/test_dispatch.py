"""One line on many hosts, on pipes: output by host, groups, failures, exit codes, JSON."""

import asyncio
import json
import signal

import pytest

from outrider.testing.api import FakeApi
from outrider.testing.api_commands import FakeCommand
from tests.integration.cli.program import Program


async def started(api: FakeApi, count: int) -> dict[str, FakeCommand]:
    """The commands that a dispatch made, by their agents."""
    commands = [await api.next_command() for _ in range(count)]
    return {command.agent_id: command for command in commands}


WEB, DB = "agent_000000000001", "agent_000000000002"


async def test_each_line_has_its_host_before_it(api: FakeApi, signed_in: Program) -> None:
    """Whole lines only, on the stream they came from; the exit code is the worst; failures are listed."""
    process = await signed_in.start("exec", "all", "line", "--timeout", "5m")
    runs = await started(api, 2)
    assert runs[WEB].asked == {"type": "shell", "params": {"command": "line", "timeout": 300}}
    assert process.stdout is not None
    assert process.stderr is not None
    assert b"1 of 2 hosts are offline: the command is queued" in await process.stderr.readline()
    runs[WEB].say("stdout", "one\nhalf")
    assert await process.stdout.readline() == b"web-01 | one\n"
    runs[DB].say("stderr", "oh\n")
    assert await process.stderr.readline() == b"db-01  | oh\n"
    runs[WEB].say("stdout", " a line")
    runs[WEB].end("succeeded", exit_code=0)
    assert await process.stdout.readline() == b"web-01 | half a line\n"
    runs[DB].end("failed", exit_code=3)
    out, err = await process.communicate()
    assert (process.returncode, out) == (3, b"")
    told = err.decode().splitlines()
    assert told[0] == "outrider: 1 of 2 did not succeed:"
    assert told[1] == "  exit code 3: db-01"
    assert "outrider dispatches retry dsp_" in told[2]


async def test_hosts_that_said_the_same_are_shown_together(api: FakeApi, signed_in: Program) -> None:
    """With --group there is no live output, and each text is there once."""
    for number in range(3, 9):
        api.add_agent(f"agent_{number:012d}", f"web-{number:02d}")
    process = await signed_in.start("exec", "web-*", "uname", "--group", "--quiet")
    for number, run in enumerate((await started(api, 7)).values()):
        run.say("stdout", "Linux\n" if number != 3 else "Linux?\n")
        run.end("succeeded", exit_code=0)
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    groups = out.decode().split("\n\n")
    assert groups[0].startswith("\n6 hosts said the same: web-01, web-03, web-04, ")
    assert groups[0].endswith("\n    Linux")
    assert groups[1] == "1 host said: web-05\n    Linux?\n"


async def test_a_pipe_gets_no_groups_unless_asked(api: FakeApi, signed_in: Program) -> None:
    """A program that reads the output gets each line once."""
    process = await signed_in.start("exec", "all", "uname")
    for run in (await started(api, 2)).values():
        run.say("stdout", "Linux\n")
        run.end("succeeded", exit_code=0)
    out, _ = await process.communicate()
    assert sorted(out.decode().splitlines()) == ["db-01  | Linux", "web-01 | Linux"]


async def test_json_is_one_document(api: FakeApi, signed_in: Program) -> None:
    """The dispatch and each command with its output; nothing else on standard output."""
    process = await signed_in.start("exec", "web-01,db-01", "line", "--json", "--offline", "wait")
    for run in (await started(api, 2)).values():
        run.say("stdout", f"{run.agent_id}\n")
        run.end("succeeded", exit_code=0)
    out, _ = await process.communicate()
    said = json.loads(out)
    assert said["dispatch"]["counts"] == {"succeeded": 2}
    assert [one["stdout"] for one in said["commands"]] == [f"{DB}\n", f"{WEB}\n"]


async def test_options_reach_the_center(api: FakeApi, signed_in: Program) -> None:
    """Concurrency, failures and what offline hosts get are the center's to keep."""
    process = await signed_in.start(
        "exec",
        "all",
        "x",
        "--concurrency",
        "5",
        "--max-failures",
        "10%",
        "--offline",
        "skip",
        "--ttl",
        "1h",
        "--no-wait",
    )
    out, err = await process.communicate()
    (dispatch,) = api.work.dispatches.values()
    assert (process.returncode, out, err) == (0, f"{dispatch.id}\n".encode(), b"")
    assert dispatch.asked == {
        "target": "all",
        "type": "shell",
        "params": {"command": "x"},
        "concurrency": 5,
        "max_failures": "10%",
        "offline": "skip",
        "ttl": 3600.0,
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tag:nothing", "x"), "No host fits"),
        (("tags:web", "x"), "^"),
        (("web-* and", "x"), "^"),
        (("web-01", "x", "--concurrency", "3"), "--concurrency is for a target that means many hosts"),
        (("all", "x", "--max-failures", "many"), "--max-failures takes a number or a share"),
    ],
)
async def test_what_can_not_be_sent_says_why(
    api: FakeApi, signed_in: Program, words: tuple[str, ...], told: str
) -> None:
    """An expression that means nobody or can't be read points at the mistake; nothing is sent."""
    ended = await signed_in.run("exec", *words)
    assert (ended.code, ended.out) == (125, "")
    assert told in ended.err
    assert not api.work.dispatches


async def test_a_cut_stream_is_taken_up(api: FakeApi, signed_in: Program) -> None:
    """Nothing is lost or doubled, and stderr says that it broke."""
    process = await signed_in.start("exec", "web-*", "x")
    (run,) = (await started(api, 1)).values()
    assert process.stdout is not None
    run.say("stdout", "before\n")
    await process.stdout.readline()
    api.cut_streams()
    run.say("stdout", "after\n")
    run.end("succeeded", exit_code=0)
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"web-01 | after\n")
    assert err.startswith(b"outrider: the center is away")


async def test_ctrl_c_without_a_terminal_leaves_it_running(api: FakeApi, signed_in: Program) -> None:
    """Nobody can be asked: 130, and how to look again."""
    process = await signed_in.start("exec", "all", "sleep", "--offline", "wait", "--quiet")
    runs = await started(api, 2)
    runs[WEB].say("stdout", "started\n")
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    (dispatch,) = api.work.dispatches.values()
    assert f"outrider dispatches follow {dispatch.id}" in err.decode()
    assert not dispatch.cancelled.is_set()


async def test_a_reader_that_goes_away_cancels_it(api: FakeApi, signed_in: Program) -> None:
    """As `| head` would end a local program."""
    process = await signed_in.start("exec", "web-*", "yes", "--quiet")
    (run,) = (await started(api, 1)).values()
    assert process.stdout is not None
    run.say("stdout", "y\n")
    await process.stdout.readline()
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # noqa: SLF001 - what head does
    run.say("stdout", "y\n")
    await run.cancelled.wait()
    assert await process.wait() == 141


async def test_dispatches_are_listed_shown_cancelled_and_sent_again(api: FakeApi, signed_in: Program) -> None:
    """Each word does its one thing."""
    sent = await signed_in.run("exec", "all", "x", "--no-wait")
    dispatch_id = sent.out.strip()
    runs = await started(api, 2)
    listed = (await signed_in.run("dispatches")).out.splitlines()
    assert listed[1].split()[:3] == [dispatch_id, "running", "0"]
    assert "2 hosts have not answered" in (await signed_in.run("dispatches", "cancel", dispatch_id)).out
    assert all(run.cancelled.is_set() for run in runs.values())
    runs[WEB].say("stdout", "fine\n")
    runs[WEB].end("succeeded", exit_code=0)
    runs[DB].end("cancelled", signal=15)
    shown = (await signed_in.run("dispatches", "show", dispatch_id)).out
    assert "1 cancelled, 1 succeeded" in shown
    followed = await signed_in.run("dispatches", "follow", dispatch_id)
    assert (followed.code, followed.out) == (130, "web-01 | fine\n")
    again = await signed_in.run("dispatches", "retry", dispatch_id, "--no-wait")
    (run,) = (await started(api, 1)).values()
    assert run.agent_id == DB
    assert again.out.strip() == list(api.work.dispatches)[-1]
    assert (await signed_in.run("dispatches", "show", "dsp_none")).code == 5


async def test_a_target_is_previewed_without_doing_anything(signed_in: Program) -> None:
    """The hosts it means now, and those alone."""
    shown = await signed_in.run("targets", "preview", "status:offline")
    assert shown.out.splitlines()[1].split()[:2] == ["db-01", "offline"]
    assert json.loads((await signed_in.run("targets", "preview", "all", "--json")).out)["count"] == 2
    assert "web-01" not in (await signed_in.run("agents", "--target", "not web-*")).out


async def test_schedules_are_made_shown_fired_switched_and_deleted(api: FakeApi, signed_in: Program) -> None:
    """Each word does its one thing."""
    made = await signed_in.run(
        "schedules", "new", "nightly", "web-*", "x", "--cron", "0 3 * * *", "--zone", "UTC"
    )
    (schedule,) = api.work.schedules.values()
    assert (made.code, schedule["when"]) == (0, {"cron": "0 3 * * *", "zone": "UTC"})
    assert schedule["dispatch"] == {"target": "web-*", "type": "shell", "params": {"command": "x"}}
    assert "0 3 * * * UTC" in (await signed_in.run("schedules")).out
    fired = await signed_in.run("schedules", "fire", "nightly")
    assert fired.out.strip() in api.work.dispatches
    assert fired.out.strip() in (await signed_in.run("schedules", "show", "nightly")).out
    assert (await signed_in.run("schedules", "disable", "nightly")).out == "nightly is disabled.\n"
    assert schedule["enabled"] is False
    assert "Did you mean 'nightly'?" in (await signed_in.run("schedules", "enable", "nihgtly")).err
    assert (await signed_in.run("schedules", "delete", "nightly", "--yes")).code == 0
    assert not api.work.schedules
    assert (await signed_in.run("schedules", "new", "n", "all", "x")).code == 2
    await asyncio.gather(*(api.next_command() for _ in range(1)))
