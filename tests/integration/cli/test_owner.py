"""`outrider center backup|restore|reset-password`, beside a center that is running."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from outrider.domain.audit import HEAD_HEADER
from tests.fixtures.api import Api
from tests.fixtures.center import OwnCenter, own_center
from tests.fixtures.links import enrol
from tests.integration.cli.program import Ended, Program


@contextlib.asynccontextmanager
async def _running(home: Path) -> AsyncIterator[tuple[OwnCenter, Program]]:
    async with own_center(home) as own:
        yield own, Program(home.with_name("config"), {"OUTRIDER_HOME": str(home)})


async def _sign_in(api: Api, password: str) -> tuple[int, dict[str, object]]:
    answer = await api.ask("POST", "/api/login", {"username": "admin", "password": password}, role=None)
    return answer.status, answer.json


async def test_a_locked_out_owner_is_let_in_while_the_center_runs(tmp_path: Path) -> None:
    """The password is shown once, alone on standard output; it works at once, and has to be changed."""
    async with _running(tmp_path / "home") as (own, outrider):
        assert await own.api.get("/api/session", role="super_admin")
        ended = await outrider.run("center", "reset-password")
        assert ended.code == 0, ended.err
        status, answer = await _sign_in(own.api, ended.out.strip())
        assert status == 200
        assert isinstance(answer["user"], dict)
        assert answer["user"]["must_change_password"] is True
        (entry,) = (await own.api.get("/api/audit?action=password.reset"))["entries"]
        assert entry["actor"]["kind"] == "center"
        assert entry["actor"]["via"] == "outrider center reset-password"
        assert ended.out.strip() not in str(entry)
        assert (await own.api.get("/api/audit/verify"))["ok"]


async def test_a_password_can_be_given(tmp_path: Path) -> None:
    """On standard input, and not printed; one that is too short is refused."""
    async with _running(tmp_path / "home") as (own, outrider):
        weak = await outrider.run("center", "reset-password", "--password-stdin", stdin=b"short\n")
        assert (weak.code, weak.out) == (2, "")
        ended = await outrider.run(
            "center", "reset-password", "admin", "--password-stdin", stdin=b"a fine long password\n"
        )
        assert (ended.code, ended.out) == (0, "")
        assert (await _sign_in(own.api, "a fine long password"))[0] == 200
        nobody = await outrider.run("center", "reset-password", "nobody")
        assert nobody.code == 5


async def test_many_visits_and_a_busy_center_write_one_log(tmp_path: Path) -> None:
    """A second process writes in turns with the running center: no change of either is lost."""
    async with _running(tmp_path / "home") as (own, outrider):
        stop = asyncio.Event()
        made: list[str] = []

        async def work() -> None:
            while not stop.is_set():
                made.append((await enrol(own.api)).id)

        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            runs = [await outrider.run("center", "reset-password") for _ in range(2)]
            taken = await outrider.run("center", "backup", str(tmp_path / "b"))
            stop.set()
        assert [run.code for run in (*runs, taken)] == [0, 0, 0]
        verdict = await own.api.get("/api/audit/verify")
        assert verdict["ok"], verdict
        enrolled = (await own.api.get("/api/audit?action=agent.enrol&limit=1000"))["entries"]
        assert sorted(entry["subject"] for entry in enrolled) == sorted(made)
        assert len((await own.api.get("/api/audit?action=password.reset"))["entries"]) == 2


async def test_a_backup_is_written_restored_and_refused(tmp_path: Path) -> None:
    """Progress on standard error, one line of result; a second one to the same file is refused."""
    file, there = tmp_path / "b", tmp_path / "there"
    secret = tmp_path / "passphrase"
    await asyncio.to_thread(secret.write_text, "open sesame\n")
    async with _running(tmp_path / "home") as (own, outrider):
        agent = await enrol(own.api)
        sealed = ("--passphrase-file", str(secret))
        taken = await outrider.run("center", "backup", str(file), *sealed)
        assert taken.code == 0, taken.err
        assert "agents: 1 rows" in taken.err
        assert taken.out.startswith(f"Wrote {file} ")
        again = await outrider.run("center", "backup", str(file), *sealed)
        assert (again.code, again.out) == (6, "")
        busy = await outrider.run("center", "restore", str(file), *sealed)
        assert "Stop it first" in busy.err
    restored = await outrider.run("center", "restore", str(file), "--home", str(there), *sealed)
    assert restored.code == 0, restored.err
    async with own_center(there) as back:
        tokens = await outrider.run("center", "reset-password", "--home", str(there))
        status, answer = await _sign_in(back.api, tokens.out.strip())
        assert (status, agent.id in str(answer)) == (200, False)
    nothing = await outrider.run("center", "backup", str(tmp_path / "c"), "--home", str(tmp_path / "nowhere"))
    assert nothing.code == 6
    assert "--home" in nothing.err


async def _verify(outrider: Program, file: Path, *words: str) -> Ended:
    return await outrider.run("audit", "verify", "--file", str(file), *words)


async def test_an_export_is_verified_far_from_any_center(tmp_path: Path) -> None:
    """A noted head tells one that was cut off; a changed, missing or moved line is named."""
    async with _running(tmp_path / "home") as (own, outrider):
        for _ in range(3):
            await enrol(own.api)
        answer = await own.api.ask("GET", "/api/audit/export")
    head = answer.headers[HEAD_HEADER]
    lines = answer.body.splitlines(keepends=True)

    async def verified(*content: bytes, noted: str = head) -> Ended:
        file = tmp_path / "export"
        await asyncio.to_thread(file.write_bytes, b"".join(content))
        return await _verify(outrider, file, "--head", noted)

    good = await verified(*lines)
    assert good.code == 0, good.err
    assert f"Head: {head}" in good.out
    for content, number in (
        (lines[:-1], len(lines)),
        ([*lines[:2], *lines[3:]], 3),
        ([*lines[:2], lines[3], lines[2], *lines[4:]], 3),
        ([*lines[:2], lines[2].replace(b'"action":"', b'"action":"not_'), *lines[3:]], 3),
    ):
        bad = await verified(*content)
        assert bad.code == 6
        assert f"Entry {number}:" in bad.err, bad.err
    broken = await verified(*lines[:2], b"no json\n")
    assert "Line 3" in broken.err
    told = await _verify(outrider, tmp_path / "export", "--json", "--head", "x")
    assert told.code == 2


@pytest.mark.parametrize("word", ["backup", "restore", "reset-password"])
async def test_each_explains_itself(tmp_path: Path, word: str) -> None:
    """`--help` of each names what it takes."""
    shown = await Program(tmp_path).run("center", word, "--help")
    assert shown.code == 0
    assert "--home" in shown.out


async def test_a_verdict_as_json(tmp_path: Path) -> None:
    """For programs: whether it holds, how many entries, the head."""
    await asyncio.to_thread((tmp_path / "empty").touch)
    told = await _verify(Program(tmp_path), tmp_path / "empty", "--json")
    assert json.loads(told.out) == {"ok": True, "entries": 0, "head": "0:", "problem": None}
