"""The program against a center's API, as processes on pipes."""

import asyncio
import json
import signal
import ssl
import stat
import sys

import pytest
import trustme

from outrider.client.trust import read_authorities
from outrider.testing.api import PASSWORD, TOKEN, FakeApi
from tests.integration.cli.program import Program


async def test_signing_in_saves_the_session_for_its_owner_alone(api: FakeApi, outrider: Program) -> None:
    """After login the other words work; the file with the token has mode 0600."""
    ended = await outrider.login(api)
    assert (ended.code, ended.err) == (0, "")
    assert "Signed in to" in ended.out
    assert PASSWORD not in ended.out
    file = outrider.config / "outrider" / "centers.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (await outrider.run("agents")).code == 0


async def test_a_wrong_password_is_one_line_and_saves_nothing(api: FakeApi, outrider: Program) -> None:
    """Exit code 3, no traceback, no file."""
    ended = await outrider.run("login", api.url, "--password-stdin", stdin=b"guess\n")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("outrider: The user name or the password is wrong.")
    assert ended.err.count("\n") == 1
    assert not (outrider.config / "outrider" / "centers.toml").exists()


async def test_signing_out_ends_the_session_and_forgets_the_token(api: FakeApi, signed_in: Program) -> None:
    """The center's session is gone, and so is the token in the file."""
    assert (await signed_in.run("logout")).code == 0
    assert list(api.access.sessions) == [TOKEN]
    ended = await signed_in.run("agents")
    assert ended.code == 3
    assert "outrider login" in ended.err


async def test_several_centers_are_told_apart_by_name(api: FakeApi, outrider: Program) -> None:
    """--center and OUTRIDER_CENTER choose; without them it is the one signed in to last."""
    async with FakeApi() as other:
        other.add_agent("agent_000000000009", "elsewhere")
        await outrider.login(api, "--center", "first")
        await outrider.login(other, "--center", "second")
        assert "elsewhere" in (await outrider.run("agents")).out
        assert "web-01" in (await outrider.run("agents", "--center", "first")).out
        by_variable = Program(outrider.config, {"OUTRIDER_CENTER": "first"})
        assert "web-01" in (await by_variable.run("agents")).out
        ended = await outrider.run("agents", "--center", "frist")
        assert ended.code == 5
        assert "first" in ended.err


async def test_an_https_center_needs_its_pin_where_nobody_can_be_asked(outrider: Program) -> None:
    """Without a terminal the pin is shown and nothing sent; with --pin or --ca the login works."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    pem = authority.cert_pem.bytes().decode()
    (known,) = read_authorities(pem)
    async with FakeApi(tls=context, authority=pem) as api:
        api.add_agent("agent_000000000001", "web-01")
        ended = await outrider.login(api)
        assert ended.code == 8
        assert f"--pin {known.pin}" in ended.err
        assert not any(request.path == "/api/login" for request in api.requests)
        assert (await outrider.login(api, "--pin", known.pin)).code == 0
        assert "web-01" in (await outrider.run("agents")).out
        file = outrider.config / "ca.pem"
        file.write_text(pem)
        assert (await outrider.login(api, "--ca", str(file), "--center", "by-file")).code == 0
        assert (await outrider.login(api, "--pin", "A" * 43)).code == 8


async def test_listings_are_plain_in_a_pipe_and_json_on_request(signed_in: Program) -> None:
    """Standard output carries the listing and nothing else."""
    ended = await signed_in.run("agents", "--status", "offline")
    assert ended.err == ""
    titles, row = ended.out.splitlines()
    assert titles.split()[:2] == ["LABEL", "STATUS"]
    assert row.split()[:2] == ["db-01", "offline"]
    listed = json.loads((await signed_in.run("agents", "--json")).out)
    assert [agent["label"] for agent in listed] == ["web-01", "db-01"]
    assert json.loads((await signed_in.run("agents", "show", "web-01", "--json")).out)["abilities"] == [
        "shell"
    ]
    assert json.loads((await signed_in.run("keys", "list", "--json")).out) == []
    assert json.loads((await signed_in.run("commands", "web-01", "--json")).out) == []


async def test_an_agent_is_meant_by_id_label_or_hostname(api: FakeApi, signed_in: Program) -> None:
    """One match is taken; several are listed with their ids; none gets the nearest name."""
    for name in ("agent_000000000001", "web-01", "web-01.local", "WEB-01"):
        assert "agent_000000000001" in (await signed_in.run("agents", "show", name)).out
    api.add_agent("agent_000000000003", "web-01", hostname="other")
    several = await signed_in.run("approve", "web-01")
    assert several.code == 6
    assert "agent_000000000001" in several.err
    assert "agent_000000000003" in several.err
    none = await signed_in.run("approve", "db-02")
    assert none.code == 5
    assert "Did you mean 'db-01'?" in none.err


async def test_agents_are_approved_declined_tagged_and_deleted(api: FakeApi, signed_in: Program) -> None:
    """Each word does its one thing at the center."""
    api.agents["agent_000000000001"]["status"] = "pending"
    assert (await signed_in.run("approve", "web-01", "db-01")).out.count("Approved") == 2
    assert {agent["status"] for agent in api.agents.values()} == {"online"}
    await signed_in.run("decline", "db-01")
    assert api.agents["agent_000000000002"]["status"] == "declined"
    assert (await signed_in.run("tag", "web-01", "+web", "site=x1")).out == "web-01: web SITE=x1\n"
    assert (await signed_in.run("tag", "web-01", "-web")).out == "web-01: SITE=x1\n"
    assert (await signed_in.run("agents", "delete", "web-01")).code == 2
    assert (await signed_in.run("agents", "delete", "web-01", "--yes")).code == 0
    assert set(api.agents) == {"agent_000000000002"}


async def test_a_new_key_stands_alone_on_stdout(api: FakeApi, signed_in: Program) -> None:
    """`KEY=$(outrider keys new)` works, with the lines for a host beside it; list and revoke know its id."""
    ended = await signed_in.run(
        "keys", "new", "--uses", "unlimited", "--ttl", "2h", "--tag", "a", "--tag", "b"
    )
    assert ended.out.count("\n") == 1
    ((key_id, key),) = api.keys.items()
    for line in ("curl -fsS '", "python3 -c '"):
        assert f"\n{line}https://center.example:8443/api/agents/install-script?key=oek_{key_id}_" in ended.err
    assert ended.out.startswith(f"oek_{key_id}_")
    assert (key["uses"], key["tags"]) == (None, ["a", "b"])
    await signed_in.run("keys", "revoke", key_id)
    assert "revoked" in (await signed_in.run("keys", "list")).out


async def test_a_short_key_stands_alone_on_stdout(signed_in: Program) -> None:
    """Beside it the two lines for the host, and the full key for where it is not enough; JSON has both."""
    ended = await signed_in.run("keys", "new", "--short")
    assert ended.out == "0K7Q1X2M\n"
    assert "outrider agent config controller-url=https://center.example:8443\n" in ended.err
    assert "outrider agent provision 0K7Q1X2M\n" in ended.err
    assert "\noek_" in ended.err
    made = json.loads((await signed_in.run("keys", "new", "--short", "--json")).out)
    assert (made["short"], made["key"][:4]) == ("0K7Q1X2M", "oek_")
    assert json.loads((await signed_in.run("keys", "new", "--json")).out)["short"] is None


async def test_exec_shows_output_live_and_ends_with_the_remote_code(api: FakeApi, signed_in: Program) -> None:
    """Each piece is there before the next is made; stdout and stderr stay apart, byte for byte."""
    process = await signed_in.start(
        "exec", "web-01", "line", "--timeout", "5m", "-e", "A=b=c", "--cwd", "/srv"
    )
    run = await api.next_command()
    assert run.asked["params"] == {"command": "line", "timeout": 300, "env": {"A": "b=c"}, "cwd": "/srv"}
    assert process.stdout is not None
    assert process.stderr is not None
    run.say("stdout", "one\n")
    assert await process.stdout.readline() == b"one\n"
    run.say("stderr", "oh\r\n\x1b[31m\x07")
    assert await process.stderr.readline() == b"oh\r\n"
    run.say("stdout", "\u00fc\x1b]0;t\x07 no line end")
    run.end("failed", exit_code=42)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (42, "\u00fc\x1b]0;t\x07 no line end".encode(), b"\x1b[31m\x07")


@pytest.mark.parametrize(
    ("status", "facts", "code", "remark"),
    [
        ("succeeded", {"exit_code": 0}, 0, ""),
        ("failed", {"signal": 9}, 137, ""),
        ("timed_out", {"signal": 15}, 124, "timed_out"),
        ("cancelled", {}, 130, "cancelled"),
        ("interrupted", {"reason": "the agent was killed"}, 125, "the agent was killed"),
    ],
)
async def test_exec_says_why_there_is_no_exit_code(
    api: FakeApi, signed_in: Program, status: str, facts: dict[str, object], code: int, remark: str
) -> None:
    """The codes of the table, and the reason on stderr."""
    process = await signed_in.start("exec", "web-01", "line")
    (await api.next_command()).end(status, **facts)
    _, err = await process.communicate()
    assert process.returncode == code
    assert remark in err.decode()
    assert bool(err) is bool(remark)


async def test_exec_survives_a_cut_connection(api: FakeApi, signed_in: Program) -> None:
    """Nothing is lost or doubled when the stream breaks; stderr says that it broke."""
    process = await signed_in.start("exec", "web-01", "line")
    run = await api.next_command()
    run.say("stdout", "before\n")
    assert process.stdout is not None
    await process.stdout.readline()
    api.cut_streams()
    run.say("stdout", "after\n")
    run.end("succeeded", exit_code=0)
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"after\n")
    assert err.startswith(b"outrider: the center is away")


async def test_exec_waits_for_an_offline_host_and_says_so(api: FakeApi, signed_in: Program) -> None:
    """The command is queued, which stderr tells; --quiet keeps silent."""
    process = await signed_in.start("exec", "db-01", "line")
    run = await api.next_command()
    assert process.stderr is not None
    assert b"db-01 is offline: the command is queued" in await process.stderr.readline()
    run.end("succeeded", exit_code=0)
    await process.communicate()
    quiet = await signed_in.start("exec", "db-01", "--quiet", "line")
    (await api.next_command()).end("succeeded", exit_code=0)
    assert (await quiet.communicate()) == (b"", b"")


async def test_exec_as_json_prints_the_command_alone(api: FakeApi, signed_in: Program) -> None:
    """With --json stdout is one JSON document, also when the host is offline."""
    process = await signed_in.start("exec", "db-01", "line", "--json")
    run = await api.next_command()
    run.say("stdout", "text")
    run.end("failed", exit_code=7)
    out, _ = await process.communicate()
    assert (process.returncode, json.loads(out)["stdout"]) == (7, "text")


async def test_exec_without_waiting_prints_the_id(api: FakeApi, signed_in: Program) -> None:
    """The command is sent and can be looked at, followed and cancelled by its id."""
    ended = await signed_in.run("exec", "web-01", "--no-wait", "--ttl", "1h", "--", "ls", "-l", "a b")
    run = await api.next_command()
    assert ended.out == f"{run.id}\n"
    assert run.asked["ttl"] == 3600
    assert run.asked["params"]["command"] == "ls -l 'a b'"
    assert "being cancelled" in (await signed_in.run("cancel", "web-01", run.id)).out
    run.say("stdout", "text\n")
    run.end("cancelled", signal=15)
    assert run.id in (await signed_in.run("commands", "web-01")).out
    assert "stdout:\ntext\n" in (await signed_in.run("commands", "web-01", run.id)).out
    assert (await signed_in.run("commands", "web-01", run.id, "--follow")).out == "text\n"


async def test_exec_gives_standard_input_on_request_only(api: FakeApi, signed_in: Program) -> None:
    """Without --stdin ours is not read; with it, it is the command's. What is no text is refused."""
    process = await signed_in.start("exec", "web-01", "cat", "--stdin")
    assert process.stdin is not None
    process.stdin.write("l\u00efne\n".encode())
    process.stdin.close()
    run = await api.next_command()
    assert run.asked["params"]["stdin"] == "l\u00efne\n"
    run.end("succeeded", exit_code=0)
    await process.communicate()
    refused = await signed_in.run("exec", "web-01", "cat", "--stdin", stdin=b"\xff\xfe")
    assert refused.code == 125
    assert "UTF-8" in refused.err


async def test_a_closed_pipe_ends_the_command_quietly(api: FakeApi, signed_in: Program) -> None:
    """As `| head` would end a local program: no complaint, and the remote command is cancelled."""
    process = await signed_in.start("exec", "web-01", "yes")
    run = await api.next_command()
    assert process.stdout is not None
    run.say("stdout", "y\n")
    await process.stdout.readline()
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # noqa: SLF001 - what head does
    run.say("stdout", "y\n")
    await run.cancelled.wait()
    assert await process.wait() == 141
    assert process.stderr is not None
    assert await process.stderr.read() == b""


async def test_ctrl_c_without_a_terminal_leaves_the_command_running(api: FakeApi, signed_in: Program) -> None:
    """Nobody can be asked: it ends with 130 and says how to look again."""
    process = await signed_in.start("exec", "web-01", "sleep")
    run = await api.next_command()
    await run.followed.wait()
    run.say("stdout", "started\n")
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert f"outrider commands agent_000000000001 {run.id} --follow" in err.decode()
    assert not run.cancelled.is_set()


async def test_a_center_that_is_away_is_one_line(api: FakeApi, signed_in: Program) -> None:
    """The address, the reason and a question; exit code 7."""
    url = api.url
    await api.stop()
    ended = await signed_in.run("agents")
    assert (ended.code, ended.out) == (7, "")
    assert ended.err.startswith(f"outrider: No center answers at {url}")
    assert "connection refused" in ended.err
    assert ended.err.count("\n") == 1


async def test_debug_shows_where_an_error_came_from(outrider: Program) -> None:
    """A traceback only on request: --debug before any `--`, or OUTRIDER_DEBUG."""
    assert "Traceback" not in (await outrider.run("agents")).err
    assert "Traceback" in (await outrider.run("agents", "--debug")).err
    by_variable = Program(outrider.config, {"OUTRIDER_DEBUG": "1"})
    assert "Traceback" in (await by_variable.run("agents")).err


async def test_the_daemon_path_loads_none_of_the_cli(outrider: Program) -> None:
    """`outrider agent` carries neither the argument parser nor the tables, nor any other part of the CLI."""
    look = (
        "import sys; from outrider.__main__ import main; code = main(['agent', '--no-such-option']);"
        "heavy = {'cyclopts', 'rich', 'outrider.cli', 'outrider.client', 'sqlalchemy', 'litestar'};"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", look, stdout=asyncio.subprocess.PIPE, env=outrider.environ
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "2 []"


async def test_the_overview_loads_no_library(outrider: Program) -> None:
    """`outrider --help` is there at once: nothing but the standard library is loaded for it."""
    look = (
        "import sys; from outrider.__main__ import main; main(['--help']);"
        "heavy = {'cyclopts', 'rich', 'aiohttp', 'msgspec', 'asyncio', 'logging'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", look, stdout=asyncio.subprocess.PIPE, env=outrider.environ
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines()[-1] == "[]"
