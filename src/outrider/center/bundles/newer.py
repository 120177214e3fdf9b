"""Whether an agent is behind: the bundle that it would be updated to, where that is another than it runs."""

from collections.abc import Mapping
from typing import Any

import msgspec

from outrider.center.bundles.choice import choose
from outrider.center.bundles.rows import kept
from outrider.center.store.connection import Connection
from outrider.domain.bundles import BadTarget, BundleTarget


class Newer(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle that an agent does not run yet."""

    version: str
    build: str


async def newer_for(conn: Connection, facts: Mapping[str, Any]) -> Newer | None:
    """Find it by what an agent says of itself; None when it runs that, or was not installed from a bundle.

    What counts is what is kept now: after an upgrade of the center its own bundle is there once it was asked
    for.
    """
    build, tag = facts.get("agent_build"), facts.get("agent_target")
    if not build or not isinstance(tag, str):
        return None
    try:
        target = BundleTarget.of_tag(tag)
    except BadTarget:
        return None
    found = choose(await kept(conn, target))
    return None if found is None or found.build == build else Newer(version=found.version, build=found.build)
