"""`outrider mkdir`, `mv` and `rm`."""

import msgspec

from outrider.testing.api import FakeApi
from tests.integration.cli.program import Program

_AGENT = "agent_000000000001"


async def test_folders_are_made_and_things_moved_and_deleted(api: FakeApi, signed_in: Program) -> None:
    """Each says what it did; deleting asks, and does nothing where nobody can answer."""
    api.files.folders.add((_AGENT, "/srv"))
    made = await signed_in.run("mkdir", "web-01:/srv/app", "web-01:/srv/app/in")
    assert (made.code, made.out) == (0, "Made web-01:/srv/app.\nMade web-01:/srv/app/in.\n")
    moved = await signed_in.run("mv", "web-01:/srv/app", "/srv/old")
    assert (moved.code, moved.out) == (0, "Moved web-01:/srv/app to /srv/old.\n")
    asked = await signed_in.run("rm", "-r", "web-01:/srv/old")
    assert (asked.code, "--yes" in asked.err) == (2, True)
    full = await signed_in.run("rm", "--yes", "web-01:/srv/old")
    assert (full.code != 0, "not empty" in full.err) == (True, True)
    gone = await signed_in.run("rm", "-r", "--yes", "--json", "web-01:/srv/old")
    assert msgspec.json.decode(gone.out) == [{"path": "/srv/old", "deleted": 2}]
    assert (_AGENT, "/srv/old") not in api.files.folders


async def test_a_place_that_can_not_be_meant_is_told(signed_in: Program) -> None:
    """A path without its host, and a move to another one."""
    for words in (("mkdir", "/srv/app"), ("rm", "-y", "/srv"), ("mv", "web-01:/a", "db-01:/a")):
        ended = await signed_in.run(*words)
        assert (ended.code, ended.out) == (2, ""), ended
