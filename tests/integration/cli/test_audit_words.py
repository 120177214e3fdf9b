"""`outrider audit` against a real center: lists, follows, exports, verifies."""

import asyncio
import json
from pathlib import Path

import pytest

from outrider.cli.audit import parse_moment
from outrider.domain.errors import Invalid
from tests.integration.cli.program import Signed

_PATIENCE = 20.0


async def test_entries_are_listed(administrator: Signed) -> None:
    """The newest last; filters narrow; JSON for programs."""
    _, outrider, agent = administrator
    listed = await outrider.run("audit")
    assert listed.code == 0, listed.err
    assert "agent.enrol" in listed.out
    assert listed.out.index("center.start") < listed.out.index("agent.enrol")
    one = await outrider.run("audit", "list", "--subject", agent.id, "--json", "--since", "1h")
    (entry,) = json.loads(one.out)
    assert (entry["action"], entry["actor"]["kind"]) == ("agent.enrol", "agent")
    assert json.loads((await outrider.run("audit", "--action", "agent", "--until", "1h", "--json")).out) == []
    assert (await outrider.run("audit", "--since", "soon")).code == 2


async def test_what_happens_is_followed(administrator: Signed) -> None:
    """An entry comes up a moment after the change, until the person has seen enough."""
    own, outrider, agent = administrator
    process = await outrider.start("audit", "--follow", "--action", "agent", "--json")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            first = json.loads(await process.stdout.readline())
            assert first["subject"] == agent.id
            assert (await own.api.ask("PATCH", agent.path, {"label": "web"})).status == 200
            assert json.loads(await process.stdout.readline())["action"] == "agent.change"
    finally:
        process.terminate()
        await process.communicate()


async def test_the_log_is_verified_here_and_elsewhere(administrator: Signed, tmp_path: Path) -> None:
    """The head that `verify` shows is the one that the export leads to; an older one still holds."""
    _, outrider, _ = administrator
    verdict = json.loads((await outrider.run("audit", "verify", "--json")).out)
    assert verdict["ok"] is True
    head = verdict["head"]
    file = tmp_path / "audit.ndjson"
    exported = await outrider.run("audit", "export", str(file))
    assert exported.code == 0, exported.err
    assert (await outrider.run("audit", "export", str(file))).code == 2
    for words in (("--head", head), ("--file", str(file), "--head", head)):
        held = await outrider.run("audit", "verify", *words)
        assert held.code == 0, held.err
    number = head.partition(":")[0]
    forged = await outrider.run("audit", "verify", "--head", f"{number}:{'0' * 64}")
    assert forged.code == 6
    assert f"Entry {number}" in forged.err


def test_moments_are_read() -> None:
    """A duration counts back from now; a date may have a time and an offset; nothing else is guessed."""
    assert parse_moment("2h", "--since", now=10_000.0) == 2_800.0
    assert parse_moment("1970-01-02T00:00:00+00:00", "--since") == 86_400.0
    with pytest.raises(Invalid, match="--since"):
        parse_moment("yesterday", "--since")
