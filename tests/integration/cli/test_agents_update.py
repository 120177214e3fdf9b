"""`outrider agents update`: who runs what, a line a host, when it stops, exit codes, JSON."""

import json

import pytest

from outrider.testing.api import FakeApi
from outrider.testing.api_commands import FakeCommand
from tests.integration.cli.program import Program
from tests.integration.cli.screen_text import screen_text
from tests.integration.cli.terminal import terminal

WEB, DB = "agent_000000000001", "agent_000000000002"


async def started(api: FakeApi, count: int) -> dict[str, FakeCommand]:
    """The commands that the update made, by their agents."""
    commands = [await api.next_command() for _ in range(count)]
    return {command.agent_id: command for command in commands}


async def test_each_host_has_its_line(api: FakeApi, signed_in: Program) -> None:
    """Who runs what is told first; hosts that are away are left out; a failure makes the exit code 1."""
    api.add_agent("agent_000000000003", "web-with-a-longer-name")
    process = await signed_in.start("agents", "update", "--target", "all")
    runs = await started(api, 2)
    (dispatch,) = api.work.dispatches.values()
    assert dispatch.asked == {
        "target": "all",
        "type": "update_agent",
        "params": {},
        "concurrency": 5,
        "max_failures": 0,
        "offline": "skip",
    }
    assert process.stdout is not None
    assert process.stderr is not None
    before = (await process.stderr.readline()).decode()
    assert before.startswith("outrider: 3 hosts: 2 run ")
    assert before.endswith("; 1 is offline and left out\n")
    runs[WEB].say("stdout", "downloaded 50 %\n")
    runs[WEB].end("succeeded", exit_code=0, reason="updated from 0.1.0 (build a) to 0.2.0 (build b)")
    assert (await process.stdout.readline()).decode() == "HOST                    RESULT       WHAT\n"
    assert (await process.stdout.readline()).decode() == (
        "web-01                  succeeded    updated from 0.1.0 (build a) to 0.2.0 (build b)\n"
    )
    runs["agent_000000000003"].end(
        "failed", exit_code=1, reason="0.2.0 failed, and 0.1.0 runs again: it hung"
    )
    out, err = await process.communicate()
    assert process.returncode == 1
    assert (
        out.decode() == "web-with-a-longer-name  failed       0.2.0 failed, and 0.1.0 runs again: it hung\n"
    )
    assert "outrider: 1 of 2 did not succeed\n" in err.decode()
    assert f"`outrider dispatches retry {dispatch.id}`" in err.decode()


async def test_all_well_is_zero(api: FakeApi, signed_in: Program) -> None:
    """And --quiet says nothing on stderr."""
    process = await signed_in.start("agents", "update", "--target", "web-01", "--quiet")
    for run in (await started(api, 1)).values():
        run.end("succeeded", exit_code=0, reason="0.2.0 (build b) runs here already")
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert "web-01  succeeded    0.2.0 (build b) runs here already" in out.decode()


async def test_what_is_asked_for_reaches_the_center(api: FakeApi, signed_in: Program) -> None:
    """Version, force, and how it rolls; with --no-wait the id is all that is printed."""
    words = (
        "--version",
        "0.2.0",
        "--force",
        "--concurrency",
        "2",
        "--max-failures",
        "10%",
        "--offline",
        "wait",
    )
    ended = await signed_in.run("agents", "update", "--target", "all", *words, "--no-wait", "-q")
    (dispatch,) = api.work.dispatches.values()
    assert (ended.code, ended.out, ended.err) == (0, f"{dispatch.id}\n", "")
    assert dispatch.asked == {
        "target": "all",
        "type": "update_agent",
        "params": {"version": "0.2.0", "force": True},
        "concurrency": 2,
        "max_failures": "10%",
        "offline": "wait",
    }


async def test_json_is_one_document(api: FakeApi, signed_in: Program) -> None:
    """The dispatch and what came of each host."""
    process = await signed_in.start("agents", "update", "--target", "web-01", "--json", "--quiet")
    for run in (await started(api, 1)).values():
        run.end("failed", exit_code=1, reason="why")
    out, _ = await process.communicate()
    said = json.loads(out)
    assert process.returncode == 1
    assert [(one["status"], one["reason"]) for one in said["commands"]] == [("failed", "why")]
    assert said["dispatch"]["type"] == "update_agent"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--target", "tag:nothing"), 5, "No host fits"),
        (("--target", "db-01"), 2, "--offline wait lets them have it"),
        (("--target", "web-* and"), 2, "^"),
        (("--target", "all", "--max-failures", "many"), 2, "--max-failures takes a number or a share"),
        ((), 2, "--target"),
    ],
)
async def test_what_can_not_be_updated_says_why(
    api: FakeApi, signed_in: Program, words: tuple[str, ...], code: int, told: str
) -> None:
    """Nothing is sent."""
    ended = await signed_in.run("agents", "update", *words)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert not api.work.dispatches


async def test_the_list_shows_versions(signed_in: Program) -> None:
    """A column for the agent's version."""
    ended = await signed_in.run("agents", "list")
    header, first, *_ = ended.out.splitlines()
    assert first[header.index("AGENT") :].split()[0] == "0.1.0"


async def test_on_a_terminal_a_line_says_how_far_it_is(api: FakeApi, signed_in: Program) -> None:
    """What hosts are doing stands in it; it is below the hosts that have ended, once, and gone at the end."""
    api.agents[DB]["status"] = "online"
    async with terminal(signed_in, "agents", "update", "--target", "all", columns=120) as screen:
        runs = await started(api, 2)
        runs[WEB].become("running")
        runs[WEB].say("stdout", "downloaded 25 %\n")
        await screen.see("1 waiting: web-01 \u00b7 web-01: downloaded 25 %")
        runs[DB].end("failed", exit_code=1, reason="it hung")
        await screen.see("1 of 2 done \u00b7 1 failed")
        lines = screen_text(screen.shown, 120)
        assert lines[-1].startswith("1 of 2 done")
        assert "db-01   failed       it hung" in lines
        runs[WEB].end("succeeded", exit_code=0, reason="updated from a to b")
        assert await screen.end() == 1
        lines = screen_text(screen.shown, 120)
        assert not any("of 2 done" in line for line in lines)
        assert "web-01  succeeded    updated from a to b" in lines
        assert "\x1b[31mfailed" in screen.shown


async def test_many_hosts_are_asked_about_first(api: FakeApi, signed_in: Program) -> None:
    """Only a yes sends it."""
    for number in range(3, 15):
        api.add_agent(f"agent_{number:012d}", f"web-{number:02d}")
    async with terminal(signed_in, "agents", "update", "--target", "web-*", "--concurrency", "3") as screen:
        await screen.see("13 hosts: 13 run 0.1.0")
        await screen.see("Update 13 agents, 3 at a time? [y/N]: ")
        screen.type("n\n")
        assert await screen.end() == 2
    assert not api.work.dispatches
