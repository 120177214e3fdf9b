"""`outrider exec --type`: other commands than shell lines."""

import json

from outrider.testing.api import FakeApi
from tests.integration.cli.program import Program

_PACKAGES = '{"tool":"dpkg","show":"installed","count":1,"left_out":0,"packages":[\n{"name":"bash",'
_PACKAGES += '"version":"5.2","arch":"amd64"}\n]}\n'


async def test_a_typed_command_is_a_table(api: FakeApi, signed_in: Program) -> None:
    """Its words are parameters, typed as they are to be; the answer is a table once it is whole."""
    process = await signed_in.start("exec", "web-01", "--type", "packages", "match=bash", "timeout=20")
    run = await api.next_command()
    assert run.asked["type"] == "packages"
    assert run.asked["params"] == {"match": "bash", "timeout": 20.0}
    run.say("stdout", _PACKAGES)
    run.end("succeeded", exit_code=0, reason="a note")
    out, err = await process.communicate()
    assert (process.returncode, out.decode()) == (0, "NAME  VERSION  ARCH\nbash  5.2      amd64\n")
    assert err == b"outrider: a note\n"
    listed = (await signed_in.run("commands", "web-01")).out
    assert "packages  match=bash timeout=20.0" in listed


async def test_as_json_the_answer_is_data(api: FakeApi, signed_in: Program) -> None:
    """One document: the command, and its answer beside the text it came as."""
    process = await signed_in.start("exec", "web-01", "--type", "packages", "--json")
    run = await api.next_command()
    run.say("stdout", _PACKAGES)
    run.end("succeeded", exit_code=0)
    out, _ = await process.communicate()
    shown = json.loads(out)
    assert shown["answer"]["packages"][0]["name"] == "bash"
    assert shown["status"] == "succeeded"


async def test_a_failure_says_why(api: FakeApi, signed_in: Program) -> None:
    """The reason is on stderr, and the exit code the command's."""
    process = await signed_in.start("exec", "web-01", "--type", "service", "name=nginx", "action=restart")
    (await api.next_command()).end("failed", exit_code=1, reason="there is no nginx.service on this host")
    out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert b"failed: there is no nginx.service" in err


async def test_what_does_not_go_together(signed_in: Program) -> None:
    """Nothing is sent: a missing line, an option of shell lines, a parameter that its type has not."""
    for words, said in (
        (["exec", "web-01"], "Say what to run"),
        (["exec", "web-01", "--type", "ping", "--cwd", "/"], "--cwd is for a shell line"),
        (["exec", "web-01", "--type", "service", "nginx"], "NAME=VALUE"),
        (["exec", "web-01", "--type", "kill", "pid=1"], "keeps the host running"),
    ):
        ended = await signed_in.run(*words)
        assert (ended.code, ended.out) == (125, "")
        assert said in ended.err
