"""`outrider groups` and `outrider profiles`, against the real center."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest_asyncio

from outrider.cli import centers
from outrider.cli.centers import Centers, SavedCenter
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import enrol
from tests.integration.cli.program import Program


class Desk:
    """A person's program, and a center where they are an administrator."""

    def __init__(self, own: OwnCenter, program: Program) -> None:
        self.own = own
        self.program = program

    async def say(self, *words: str) -> str:
        """Run the program so that it succeeds; give what it printed."""
        ended = await self.program.run(*words)
        assert ended.code == 0, ended
        return ended.out


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """All of it."""
    async with own_center(tmp_path / "center") as own:
        program = Program(tmp_path / "config")
        saved = SavedCenter(url=own.url, username="the_admin", token=own.tokens["admin"])
        centers.save(centers.default_path(program.environ), Centers(current="lab", centers={"lab": saved}))
        yield Desk(own, program)


async def test_groups_from_making_to_deleting(desk: Desk) -> None:
    """Made with a rule and a profile, changed, with members by hand, listed, shown, deleted."""
    agent = await enrol(desk.own.api)
    await desk.own.api.ask("PATCH", agent.path, {"label": "web-01", "tags": ["SITE=x1"]})
    await desk.say("profiles", "new", "small", "client_api_enabled=true", "own=a b")
    made = await desk.say("groups", "new", "berlin", "--rule", "SITE=x1", "--profile", "small")
    assert "members: 1" in made
    assert "web-01" in await desk.say("groups", "members", "berlin")
    changed = await desk.say("groups", "set", "berlin", "--rule", "", "--priority", "5", "--rename", "b")
    assert "members: 0" in changed
    assert "hand" in await desk.say("groups", "members", "b", "--add", "web-01")
    shown = msgspec.json.decode(await desk.say("groups", "show", "b", "--json"))
    assert (shown["group"]["priority"], shown["group"]["profile"]["name"]) == (5, "small")
    assert shown["members"] == [{"id": agent.id, "label": "web-01", "by_hand": True, "by_rule": False}]
    detail = await desk.say("agents", "show", "web-01")
    assert "client_api_enabled=true own=a b" in detail
    assert "small" in await desk.say("groups")
    assert "web-01" in await desk.say("targets", "preview", "group:b")
    await desk.say("groups", "set", "b", "--profile", "")
    assert "web-01" not in await desk.say("groups", "members", "b", "--remove", "web-01")
    assert "Deleted b." in await desk.say("groups", "delete", "b", "--yes")


async def test_profiles_from_making_to_deleting(desk: Desk) -> None:
    """Parameters are set and removed one by one; what is inherited is told from what is its own."""
    await desk.say("profiles", "set", "default", "poll=60")
    await desk.say("profiles", "new", "small", "a=1", "b=2")
    after = await desk.say("profiles", "set", "small", "b=3", "-a", "client_api_port=4000", "--rename", "s")
    assert after == "s: b=3 client_api_port=4000\n"
    shown = await desk.say("profiles", "show", "s")
    assert [line.split() for line in shown.splitlines()[-3:]] == [
        ["b", "3", "itself"],
        ["client_api_port", "4000", "itself"],
        ["poll", "60", "default"],
    ]
    listed = msgspec.json.decode(await desk.say("profiles", "--json"))
    assert {one["name"] for one in listed} == {"default", "s"}
    assert "client_api_token_auth" in await desk.say("profiles", "parameters")
    await desk.say("profiles", "delete", "s", "--yes")


async def test_mistakes_are_told(desk: Desk) -> None:
    """With the place in a rule, the parameter, or the nearest name; the exit code says which."""
    await desk.say("groups", "new", "berlin")
    wrong = await desk.program.run("groups", "set", "berlin", "--rule", "SITE=x1 RACK=2")
    assert wrong.code == 2
    assert "^" in wrong.err
    wrong = await desk.program.run("profiles", "set", "default", "client_api_port=no")
    assert wrong.code == 2
    assert "a port from 1 to 65535" in wrong.err
    wrong = await desk.program.run("groups", "show", "berln")
    assert wrong.code == 5
    assert "Did you mean 'berlin'?" in wrong.err
    assert (await desk.program.run("profiles", "delete", "default", "--yes")).code == 6
    assert (await desk.program.run("groups", "set", "berlin")).code == 2
    assert (await desk.program.run("profiles", "set", "default", "word")).code == 2
    assert (await desk.program.run("groups", "delete", "berlin")).code != 0
