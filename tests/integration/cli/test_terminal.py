"""The program on a terminal: colours, questions and Ctrl-C."""

import re
import ssl

import trustme

from outrider.client.trust import read_authorities
from outrider.testing.api import PASSWORD, FakeApi
from tests.integration.cli.program import Program
from tests.integration.cli.terminal import CTRL_C, terminal

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


async def test_login_asks_for_name_and_password(api: FakeApi, outrider: Program) -> None:
    """Enter takes the proposed name; the password is not shown."""
    async with terminal(outrider, "login", api.url) as screen:
        await screen.see("User name [admin]: ")
        screen.type("\n")
        await screen.see("Password of admin: ")
        screen.type(f"{PASSWORD}\n")
        assert await screen.end() == 0
        assert "Signed in" in screen.shown
        assert PASSWORD not in screen.shown


async def test_login_shows_the_pin_of_an_unknown_center_and_asks(outrider: Program) -> None:
    """Only a yes trusts it; the pin is kept, and the next login does not ask again."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    pem = authority.cert_pem.bytes().decode()
    (known,) = read_authorities(pem)
    async with FakeApi(tls=context, authority=pem) as api:
        async with terminal(outrider, "login", api.url, "-u", "admin") as screen:
            await screen.see(known.pin)
            await screen.see("[y/N]: ")
            screen.type("\n")
            assert await screen.end() == 2
        assert not any(request.path == "/api/login" for request in api.requests)
        async with terminal(outrider, "login", api.url, "-u", "admin") as screen:
            await screen.see("[y/N]: ")
            screen.type("y\n")
            await screen.see("Password of admin: ")
            screen.type(f"{PASSWORD}\n")
            assert await screen.end() == 0
        async with terminal(outrider, "login") as screen:
            await screen.see("Password of admin: ")
            screen.type(f"{PASSWORD}\n")
            assert await screen.end() == 0


async def test_tables_have_colours_and_fit(api: FakeApi, signed_in: Program) -> None:
    """Statuses are coloured, lines are no wider than the terminal, and no id is cut."""
    api.agents["agent_000000000001"]["tags"] = [f"tag{number}" for number in range(30)]
    async with terminal(signed_in, "agents", columns=100) as screen:
        assert await screen.end() == 0
        assert "\x1b[32monline" in screen.shown
        lines = COLOUR.sub("", screen.shown).splitlines()
        assert max(map(len, lines)) <= 100
        assert sum("agent_000000000001" in line for line in lines) == 1


async def test_no_colours_where_none_are_wanted(signed_in: Program) -> None:
    """NO_COLOR is obeyed."""
    plain = Program(signed_in.config, {"NO_COLOR": "1"})
    async with terminal(plain, "agents") as screen:
        assert await screen.end() == 0
        assert "online" in screen.shown


async def test_a_hostile_host_can_not_command_the_terminal(api: FakeApi, signed_in: Program) -> None:
    """Labels and output are shown with their control characters escaped; colours of output pass."""
    api.add_agent("agent_000000000003", "evil\x1b]0;pwned\x07")
    async with terminal(signed_in, "agents") as screen:
        assert await screen.end() == 0
        assert "\x1b]0;" not in screen.shown
    async with terminal(signed_in, "exec", "web-01", "line") as screen:
        run = await api.next_command()
        run.say("stdout", "\x1b[31mred\x1b[0m \x1b]0;pwned\x07 end\n")
        run.end("succeeded", exit_code=0)
        assert await screen.end() == 0
        assert "\x1b[31mred\x1b[0m \\x1b]0;pwned\\x07 end" in screen.shown
    async with terminal(signed_in, "exec", "--raw", "web-01", "line") as screen:
        run = await api.next_command()
        run.say("stdout", "\x1b]0;title\x07")
        run.end("succeeded", exit_code=0)
        assert await screen.end() == 0
        assert "\x1b]0;title\x07" in screen.shown


async def test_ctrl_c_and_yes_cancel_the_command(api: FakeApi, signed_in: Program) -> None:
    """The first Ctrl-C asks; yes cancels at the center and waits for the host."""
    async with terminal(signed_in, "exec", "web-01", "sleep 1000") as screen:
        run = await api.next_command()
        run.say("stdout", "started\n")
        await screen.see("started")
        screen.type(CTRL_C)
        await screen.see("Cancel the command?")
        screen.type("y\n")
        await run.cancelled.wait()
        run.say("stdout", "last words\n")
        run.end("cancelled", signal=15)
        assert await screen.end() == 130
        assert "last words" in screen.shown


async def test_ctrl_c_and_no_go_on(api: FakeApi, signed_in: Program) -> None:
    """Any other answer goes on watching, and nothing that came meanwhile is lost."""
    async with terminal(signed_in, "exec", "web-01", "work") as screen:
        run = await api.next_command()
        run.say("stdout", "started\n")
        await screen.see("started")
        screen.type(CTRL_C)
        await screen.see("Cancel the command?")
        run.say("stdout", "meanwhile\n")
        screen.type("n\n")
        await screen.see("meanwhile")
        screen.type(CTRL_C)
        await screen.see("Cancel the command?")
        screen.type("\n")
        run.end("succeeded", exit_code=0)
        assert await screen.end() == 0
        assert not run.cancelled.is_set()


async def test_a_second_ctrl_c_leaves_the_command_running(api: FakeApi, signed_in: Program) -> None:
    """It ends with 130, cancels nothing, and says how to look again."""
    async with terminal(signed_in, "exec", "web-01", "work") as screen:
        run = await api.next_command()
        run.say("stdout", "started\n")
        await screen.see("started")
        screen.type(CTRL_C)
        await screen.see("Cancel the command?")
        screen.type(CTRL_C)
        await screen.see("The command goes on without you.")
        assert await screen.end() == 130
        assert not run.cancelled.is_set()


async def test_deleting_asks_first(api: FakeApi, signed_in: Program) -> None:
    """Only a yes deletes."""
    async with terminal(signed_in, "agents", "delete", "web-01") as screen:
        await screen.see("[y/N]: ")
        screen.type("\n")
        assert await screen.end() == 2
    assert "agent_000000000001" in api.agents
    async with terminal(signed_in, "agents", "delete", "web-01") as screen:
        await screen.see("[y/N]: ")
        screen.type("y\n")
        assert await screen.end() == 0
    assert "agent_000000000001" not in api.agents


async def test_ctrl_c_at_a_question_ends_at_once(api: FakeApi, outrider: Program) -> None:
    """Nobody has to press Enter after it, nothing is sent, and typing is shown again."""
    async with terminal(outrider, "login", api.url, "-u", "admin") as screen:
        await screen.see("Password of admin: ")
        assert not screen.echoes()
        screen.type(CTRL_C)
        assert await screen.end() == 130
        assert screen.echoes()
    assert not api.requests
