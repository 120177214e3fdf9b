"""`outrider center bundle`, beside a center that runs, as its owner types it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fixtures.bundles import archive, content
from tests.fixtures.center import OwnCenter, own_center
from tests.integration.cli.program import Ended, Program


@asynccontextmanager
async def _running(home: Path) -> AsyncIterator[tuple[OwnCenter, Program]]:
    async with own_center(home) as own:
        extra = {"OUTRIDER_HOME": str(home), "PIP_CONFIG_FILE": "/dev/null"}
        yield own, Program(home.with_name("config"), extra)


async def _bundle(outrider: Program, *words: str) -> Ended:
    return await outrider.run("center", "bundle", *words)


async def test_a_bundle_is_carried_from_one_center_to_another(tmp_path: Path) -> None:
    """Imported, listed, found as a file, imported elsewhere, removed; the center offers it at once."""
    file = tmp_path / "carried.tar.gz"
    older, newer = content({"a.py": b"1"}), content({"a.py": b"2"})
    async with _running(tmp_path / "home") as (own, outrider):
        for each in (older, newer):
            await asyncio.to_thread(file.write_bytes, archive(each))
            taken = await _bundle(outrider, "import", str(file))
            assert taken.code == 0, taken.err
            assert taken.out.startswith(each.manifest.file_name)
            assert "checking" in taken.err
        offer = await own.api.get("/api/agents/bundle/offer?python=3.12&platform=linux-aarch64")
        assert offer["build"] == newer.manifest.build
        shown = json.loads((await _bundle(outrider, "list", "--json")).out)
        assert [(each["build"], each["offered"], each["origin"]) for each in shown] == [
            (newer.manifest.build, True, "file"),
            (older.manifest.build, False, "file"),
        ]
        table = await _bundle(outrider)
        assert newer.manifest.build in table.out
        place = (await _bundle(outrider, "path", newer.manifest.build)).out.strip()
        assert Path(place).name == newer.manifest.file_name
        assert await asyncio.to_thread(Path(place).read_bytes) == archive(newer)
        kept = await _bundle(outrider, "remove", newer.manifest.build)
        assert (kept.code, kept.out) == (6, "")
        assert "--force" in kept.err
        assert (await _bundle(outrider, "remove", "--old")).out == f"Removed {older.manifest.file_name}.\n"
        assert "no bundle is old" in (await _bundle(outrider, "remove", "--old")).err
        async with own_center(tmp_path / "there") as there:
            words = ("import", place, "--home", str(there.home), "--json")
            again = await _bundle(outrider, *words)
            assert json.loads(again.out)["digest"] == offer["digest"]
        assert (await _bundle(outrider, "remove", newer.manifest.file_name, "--force")).code == 0
        entries = (await own.api.get("/api/audit?subject=" + offer["digest"] + "&order=asc"))["entries"]
        assert [entry["action"] for entry in entries] == ["bundle.import", "bundle.remove"]
        assert entries[0]["actor"]["via"] == "outrider center bundle import"
        assert (await own.api.get("/api/audit/verify"))["ok"]


async def test_what_can_not_be_done_is_said_in_a_line(tmp_path: Path) -> None:
    """Each with its exit code, and what to do; nothing is kept."""
    cut, other = tmp_path / "cut", tmp_path / "other"
    await asyncio.to_thread(cut.write_bytes, archive(content({"a.so": bytes(range(256)) * 99}))[:-400])
    await asyncio.to_thread(other.write_text, "something else")
    (tmp_path / "wheels").mkdir()
    async with _running(tmp_path / "home") as (own, outrider):
        for words, code, said in (
            (("import", str(cut)), 2, "cut off"),
            (("import", str(other)), 2, "no bundle"),
            (
                ("build", "--python", "3.12", "--wheels", str(tmp_path / "wheels")),
                5,
                "no wheel of aiohappyeyeballs",
            ),
            (("remove", "nonsense"), 5, "bundle list"),
        ):
            ended = await _bundle(outrider, *words)
            assert (ended.code, ended.out) == (code, ""), ended
            assert said in ended.err, ended.err
            assert "Traceback" not in ended.err
        assert await own.api.get("/api/bundles") == []
    nowhere = await _bundle(outrider, "list", "--home", str(tmp_path / "nowhere"))
    assert "--home" in nowhere.err


async def test_the_own_one_is_made_by_hand_too(tmp_path: Path) -> None:
    """With no registry, as the center does it: it need not make it then."""
    async with _running(tmp_path / "home") as (own, outrider):
        made = await _bundle(outrider, "build", "--json")
        assert made.code == 0, made.err
        assert "packing" in made.err
        said = json.loads(made.out)
        (shown,) = await own.api.get("/api/bundles")
        assert (shown["digest"], shown["origin"], shown["offered"]) == (said["digest"], "installation", True)
        query = f"python={shown['python']}&platform={shown['platform']}"
        assert (await own.api.get(f"/api/agents/bundle/offer?{query}"))["digest"] == said["digest"]
        assert (await _bundle(outrider, "path")).out.strip().endswith(said["name"])
        actions = [entry["action"] for entry in (await own.api.get("/api/audit?action=bundle"))["entries"]]
        assert actions == ["bundle.make"]
