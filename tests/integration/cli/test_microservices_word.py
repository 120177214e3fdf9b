"""`outrider microservices`, against the real center."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from outrider.cli import centers
from outrider.cli.centers import Centers, SavedCenter
from outrider.client import AsyncCenter, Center
from outrider.domain.errors import Invalid, NotFound
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import enrol
from tests.integration.cli.program import Ended, Program


class Desk:
    """A person's program, and a center with a host called web-01."""

    def __init__(self, own: OwnCenter, program: Program) -> None:
        self.own = own
        self.program = program

    async def say(self, *words: str, stdin: bytes = b"") -> str:
        """Run the program so that it succeeds; give what it printed."""
        ended = await self.program.run("microservices", *words, stdin=stdin)
        assert ended.code == 0, ended
        return ended.out

    async def fail(self, *words: str, stdin: bytes = b"") -> Ended:
        """Run the program so that it fails."""
        ended = await self.program.run("microservices", *words, stdin=stdin)
        assert ended.code != 0, ended
        assert ended.out == ""
        return ended


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """All of it."""
    async with own_center(tmp_path / "center") as own:
        program = Program(tmp_path / "config")
        saved = SavedCenter(url=own.url, username="the_admin", token=own.tokens["admin"])
        centers.save(centers.default_path(program.environ), Centers(current="lab", centers={"lab": saved}))
        agent = await enrol(own.api)
        await own.api.ask("PATCH", agent.path, {"label": "web-01"})
        yield Desk(own, program)


async def test_a_configuration_from_storing_to_removing(desk: Desk, tmp_path: Path) -> None:
    """From a file, from standard input and from the line itself; read back byte for byte."""
    assert "app" not in await desk.say("list", "web-01")
    file = tmp_path / "app.json"
    file.write_text('{"a": "\u00e4"}\n')
    stored = await desk.say("config", "set", "web-01", "app", str(file))
    assert stored == f"web-01: app has {file.stat().st_size} bytes.\n"
    assert await desk.say("config", "get", "web-01", "app") == '{"a": "\u00e4"}\n'
    await desk.say("config", "set", "web-01", "app", "-", stdin=b"piped")
    assert await desk.say("config", "get", "web-01", "app") == "piped"
    await desk.say("config", "set", "web-01", "other", "--text", "x=1")
    shown = msgspec.json.decode(await desk.say("config", "get", "web-01", "other", "--json"))
    assert (shown["id"], shown["config"]) == ("other", "x=1")
    listed = msgspec.json.decode(await desk.say("list", "web-01", "--json"))
    assert [(one["id"], one["bytes"]) for one in listed] == [("app", 5), ("other", 3)]
    assert "x=1" not in await desk.say("list", "web-01")
    assert await desk.say("remove", "web-01", "app", "--yes") == "Removed app of web-01.\n"
    assert "app" not in await desk.say("list", "web-01")


async def test_what_can_not_be_stored_is_refused_here(desk: Desk, tmp_path: Path) -> None:
    """One line that says what is wrong."""
    wrong: tuple[tuple[tuple[str, ...], bytes, str], ...] = (
        (("config", "set", "web-01", "app"), b"", "--text"),
        (("config", "set", "web-01", "app", "-", "--text", "x"), b"", "--text"),
        (("config", "set", "web-01", "app", str(tmp_path / "none")), b"", "No such file"),
        (("config", "set", "web-01", "app", "-"), b"x" * 65_537, "65536"),
        (("config", "set", "web-01", "app", "-"), b"\xff", "UTF-8"),
        (("config", "set", "web-01", "a b", "--text", "x"), b"", "microservice id"),
        (("config", "get", "web-01", "app"), b"", "no microservice"),
        (("remove", "web-01", "app", "--yes"), b"", "no microservice"),
        (("list", "web-02"), b"", "web-01"),
    )
    for words, stdin, said in wrong:
        ended = await desk.fail(*words, stdin=stdin)
        assert said in ended.err
        assert ended.err.count("\n") == 1, ended


async def test_programs_have_the_same(desk: Desk) -> None:
    """The typed client, waiting and not."""
    agent_id = (await desk.own.api.get("/api/agents"))[0]["id"]
    async with AsyncCenter(desk.own.url, token=desk.own.tokens["operator"]) as center:
        assert (await center.configure_microservice(agent_id, "app", "1")).bytes == 1
        assert (await center.microservice_config(agent_id, "app")).config == "1"
        assert [one.id for one in await center.microservices(agent_id)] == ["app"]
        with pytest.raises(Invalid):
            await center.configure_microservice(agent_id, "a.b", "1")
        await center.remove_microservice(agent_id, "app")
        with pytest.raises(NotFound):
            await center.microservice_config(agent_id, "app")
    await asyncio.to_thread(_wait_for_each, desk.own.url, desk.own.tokens["operator"], agent_id)


def _wait_for_each(url: str, token: str, agent_id: str) -> None:
    with Center(url, token=token) as center:
        assert center.configure_microservice(agent_id, "app", "2").bytes == 1
        assert center.microservice_config(agent_id, "app").config == "2"
        assert [one.id for one in center.microservices(agent_id)] == ["app"]
        center.remove_microservice(agent_id, "app")
        assert center.microservices(agent_id) == []
