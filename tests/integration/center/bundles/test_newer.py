"""An agent is behind when the center keeps another bundle for it than it runs."""

from outrider.center.bundles.newer import Newer, newer_for
from outrider.domain.bundles import BundleTarget
from tests.fixtures.bundles import OTHER, content
from tests.integration.center.bundles.shelf import Shelf


async def test_an_agent_is_behind_what_is_kept_for_it(each_shelf: Shelf) -> None:
    """By its build, and for its own Python and platform; not when it runs that, or came in another way."""
    row = await each_shelf.add(content({"a.py": b"1"}))
    tag = f"{OTHER.abi}-{OTHER.platform}"
    newer = Newer(version=row.version, build=row.build)
    async with each_shelf.store.read() as conn:
        assert await newer_for(conn, {"agent_build": "0" * 12, "agent_target": tag}) == newer
        assert await newer_for(conn, {"agent_build": row.build, "agent_target": tag}) is None
        assert await newer_for(conn, {"agent_build": "0" * 12, "agent_target": "cp39-linux-vax"}) is None
        assert await newer_for(conn, {"agent_build": "", "agent_target": ""}) is None
        assert await newer_for(conn, {}) is None
        for odd in ("", "cp", "cp3x-linux-x86_64", "\u00b2", 7, None):
            assert await newer_for(conn, {"agent_build": "0" * 12, "agent_target": odd}) is None


def test_a_target_is_read_as_agents_write_it() -> None:
    """The tag of its Python, then the platform."""
    assert BundleTarget.of_tag(f"{OTHER.abi}-{OTHER.platform}") == OTHER
