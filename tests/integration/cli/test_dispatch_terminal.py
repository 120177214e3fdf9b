"""One line on many hosts, on a terminal: colours, the line that says how far it is, questions, Ctrl-C."""

import re

from outrider.testing.api import FakeApi
from outrider.testing.api_commands import FakeCommand
from tests.integration.cli.program import Program
from tests.integration.cli.screen_text import screen_text
from tests.integration.cli.terminal import CTRL_C, terminal

WEB, DB = "agent_000000000001", "agent_000000000002"


async def started(api: FakeApi, count: int) -> dict[str, FakeCommand]:
    """The commands that a dispatch made, by their agents."""
    commands = [await api.next_command() for _ in range(count)]
    return {command.agent_id: command for command in commands}


async def test_output_goes_by_above_a_line_that_says_how_far_it_is(api: FakeApi, signed_in: Program) -> None:
    """Names have colours; the line is below all output, once, and gone at the end."""
    api.agents[DB]["status"] = "online"
    async with terminal(signed_in, "exec", "all", "x", columns=100) as screen:
        runs = await started(api, 2)
        runs[WEB].become("running")
        await screen.see("0 of 2 done")
        await screen.see("1 running")
        runs[WEB].say("stdout", "one\ntwo\n")
        await screen.see("two")
        runs[DB].end("failed", exit_code=9)
        await screen.see("1 of 2 done \u00b7 1 failed \u00b7 1 running: web-01")
        lines = screen_text(screen.shown, 100)
        assert lines[-1].startswith("1 of 2 done")
        assert sum("of 2 done" in line for line in lines) == 1
        assert re.search(r"\x1b\[3\dmweb-01\x1b\[0m \x1b\[2m\|", screen.shown)
        runs[WEB].end("succeeded", exit_code=0)
        assert await screen.end() == 9
        lines = screen_text(screen.shown, 100)
        assert not any("of 2 done" in line for line in lines)
        assert [line for line in lines if " | " in line] == ["web-01 | one", "web-01 | two"]


async def test_the_line_follows_the_window(api: FakeApi, signed_in: Program) -> None:
    """A narrower window gets a shorter line: the old one is cleared with all rows that it was broken into."""
    for number in range(3, 9):
        api.add_agent(f"agent_{number:012d}", f"a-host-with-a-long-name-{number:02d}")
    async with terminal(signed_in, "exec", "a-host-*", "x", columns=120) as screen:
        runs = await started(api, 6)
        for run in runs.values():
            run.become("running")
        await screen.see("6 running: a-host")
        screen.resize(40)
        await screen.see("\x1b[2A\r\x1b[J0 of 6 done")
        await screen.see("\u2026")
        next(iter(runs.values())).say("stdout", "text\n")
        await screen.see("text")
        for run in runs.values():
            run.end("succeeded", exit_code=0)
        assert await screen.end() == 0


async def test_equal_outputs_are_gathered_below(api: FakeApi, signed_in: Program) -> None:
    """On a terminal the groups come after the live output; a long text is shown in part."""
    api.agents[DB]["status"] = "online"
    async with terminal(signed_in, "exec", "all", "x") as screen:
        for run in (await started(api, 2)).values():
            run.say("stdout", "".join(f"line {number}\n" for number in range(20)))
            run.end("succeeded", exit_code=0)
        assert await screen.end() == 0
        below = screen.shown.partition("2 hosts said the same: db-01, web-01")[2]
        assert "line 11" in below
        assert "line 12" not in below
        assert "... and 8 more lines" in below


async def test_many_hosts_are_asked_about_first(api: FakeApi, signed_in: Program) -> None:
    """Whom it means is shown; only a yes sends it, and --yes does not ask."""
    for number in range(3, 15):
        api.add_agent(f"agent_{number:012d}", f"web-{number:02d}")
    async with terminal(signed_in, "exec", "web-*", "reboot") as screen:
        await screen.see("This means 13 hosts (13 online): web-01, web-03")
        await screen.see("and 1 more")
        await screen.see("Run `reboot` on 13 hosts? [y/N]: ")
        screen.type("\n")
        assert await screen.end() == 125
    assert not api.work.dispatches
    async with terminal(signed_in, "exec", "web-*", "reboot", "--yes", "--no-wait") as screen:
        assert await screen.end() == 0
    assert len(api.work.dispatches) == 1


async def test_ctrl_c_asks_below_the_output_and_cancels(api: FakeApi, signed_in: Program) -> None:
    """The line makes room for the question; yes cancels, and what comes of it is still shown."""
    async with terminal(signed_in, "exec", "web-*", "x") as screen:
        (run,) = (await started(api, 1)).values()
        run.say("stdout", "started\n")
        await screen.see("started")
        screen.type(CTRL_C)
        await screen.see("Cancel the dispatch?")
        screen.type("y\n")
        await run.cancelled.wait()
        run.say("stdout", "last words\n")
        run.end("cancelled", signal=15)
        assert await screen.end() == 130
        assert "last words" in screen.shown


async def test_a_second_ctrl_c_leaves_it_running(api: FakeApi, signed_in: Program) -> None:
    """It ends with 130, cancels nothing, and says how to look again."""
    async with terminal(signed_in, "exec", "web-*", "x") as screen:
        (run,) = (await started(api, 1)).values()
        run.say("stdout", "started\n")
        await screen.see("started")
        screen.type(CTRL_C)
        await screen.see("Cancel the dispatch?")
        screen.type(CTRL_C)
        await screen.see("The dispatch goes on without you.")
        assert await screen.end() == 130
    assert not run.cancelled.is_set()


async def test_a_dumb_terminal_gets_plain_lines(api: FakeApi, signed_in: Program) -> None:
    """TERM=dumb: no colours, nothing is redrawn. NO_COLOR: the line is there, colours are not."""
    for kind, extra in (("dumb", {}), ("xterm", {"NO_COLOR": "1"})):
        program = Program(signed_in.config, extra)
        async with terminal(program, "exec", "web-*", "x", kind=kind) as screen:
            (run,) = (await started(api, 1)).values()
            run.become("running")
            run.say("stdout", "text\n")
            run.end("succeeded", exit_code=0)
            assert await screen.end() == 0
            assert "web-01 | text" in screen.shown
            assert ("of 1 done" in screen.shown) is (kind != "dumb")
            assert "\x1b[3" not in screen.shown
            assert ("\x1b" in screen.shown) is (kind != "dumb")


async def test_no_host_can_write_in_the_name_of_another(api: FakeApi, signed_in: Program) -> None:
    """Carriage returns, backspaces and escapes can't reach the name before the line."""
    async with terminal(signed_in, "exec", "web-*", "x") as screen:
        (run,) = (await started(api, 1)).values()
        run.say("stdout", "fine\rdb-01  | hacked\n" + "\b" * 9 + "db-01\n\x1b[1Gdb-01\n\x1b[31mred\n")
        run.end("succeeded", exit_code=0)
        assert await screen.end() == 0
        lines = screen_text(screen.shown, 120)
        assert sum(line.startswith("web-01 | ") for line in lines) == 4
        assert not any(line.startswith("db-01") for line in lines)
        assert "\x1b[31mred\x1b[0m" in screen.shown
