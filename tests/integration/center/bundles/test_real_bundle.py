"""The bundle of this very installation: fetched from a real center, unpacked, run with nothing beside it."""

import asyncio
import hashlib
import os
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from outrider import __version__
from outrider.cli.words import WORDS
from tests.fixtures.api import Api
from tests.fixtures.bundles import target
from tests.fixtures.center import open_api
from tests.fixtures.terminals import eventually
from tests.integration.center.bundles.test_routes import lab_center

__all__ = ["lab_center"]

pytestmark = pytest.mark.slow

_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Unpacked:
    """A bundle on a host's disk."""

    folder: Path
    digest: str

    def command(self, *words: str) -> list[str]:
        """How its program is run: isolated, without this machine's packages."""
        return [sys.executable, "-I", "-S", str(self.folder / "site"), *words]

    @asynccontextmanager
    async def running(self, *words: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run it for the block, with nothing of ours in its surroundings."""
        environ = {"PATH": os.environ["PATH"]} | {f"OUTRIDER_{k.upper()}": v for k, v in settings.items()}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self.command(*words),
            cwd="/",
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()

    async def run(self, *words: str) -> tuple[int | None, str, str]:
        """Run it to its end."""
        async with self.running(*words) as process:
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def api(lab_center: Any) -> AsyncIterator[Api]:
    """The center that other tests of bundles use, too."""
    running, _, _ = lab_center
    async with open_api(running.url, running.tokens) as api:
        yield api


async def unpacked(api: Api, folder: Path) -> Unpacked:
    """Fetch this machine's bundle as a host that is to join, and unpack it."""
    key = (await api.post("/api/enrolment-keys", {}))["key"]
    shown = {"X-Enrolment-Key": key}
    query = f"python={target().python}&platform={target().platform}"
    offer = await api.ask("GET", f"/api/agents/bundle/offer?{query}", role=None, headers=shown)
    assert offer.status == 200, offer
    answer = await api.ask("GET", f"/api/agents/bundle/{offer.json['digest']}", role=None, headers=shown)
    assert hashlib.sha256(answer.body).hexdigest() == offer.json["digest"]
    assert len(answer.body) == offer.json["size"] < 20_000_000
    archive = folder / offer.json["name"]
    await asyncio.to_thread(archive.write_bytes, answer.body)

    def unpack() -> None:
        with tarfile.open(archive) as opened:
            opened.extractall(folder / "version", filter="data")

    await asyncio.to_thread(unpack)
    return Unpacked(folder / "version", offer.json["digest"])


async def test_an_agent_from_a_bundle_joins_and_works(api: Api, tmp_path: Path) -> None:
    """With `site/` alone on its path: it makes its keys, enrols, runs a command, sifts a log."""
    bundle = await unpacked(api, tmp_path)
    key = (await api.post("/api/enrolment-keys", {"approve": True, "label": "from a bundle"}))["key"]
    settings = {"home": str(tmp_path / "home"), "center_url": api.url, "enrolment_key": key}
    log = tmp_path / "log"
    await asyncio.to_thread(log.write_text, "nothing\nneedle\nnothing\n")
    async with bundle.running("agent", **settings):
        async with asyncio.timeout(_PATIENCE):
            (agent,) = await eventually(
                lambda: api.get("/api/agents?q=from a bundle&status=online"), lambda agents: agents
            )
        assert agent["version"] == __version__
        path = f"/api/agents/{agent['id']}"
        sent = await api.post(f"{path}/commands", {"type": "shell", "params": {"command": "echo works"}})
        command = await eventually(
            lambda: api.get(f"{path}/commands/{sent['command_id']}"),
            lambda shown: shown["status"] not in ("queued", "sent", "running"),
        )
        assert (command["status"], command["stdout"]) == ("succeeded", "works\n")
        query = f"source=file&path={log}&grep=need.e&lines=10"
        async with api.events(f"{path}/stream/logs?{query}", role="operator") as events:
            async with asyncio.timeout(_PATIENCE):
                while "needle" not in (event := await events.next()).data:  # type: ignore[union-attr]  # it goes on
                    assert "nothing" not in event.data  # type: ignore[union-attr]  # likewise
        await api.ask("DELETE", path)


async def test_its_command_line_works(api: Api, tmp_path: Path) -> None:
    """Each word says what it does; those for a center's machine say what is missing, without a trace."""
    bundle = await unpacked(api, tmp_path)
    assert await bundle.run("--version") == (0, f"outrider {__version__}\n", "")
    words = " ".join(word.name for word in WORDS)
    helps = (
        f"import sys; sys.path.insert(0, {str(bundle.folder / 'site')!r})\n"
        "from outrider.cli.entry import main\n"
        f"sys.exit(any([main([word, '--help']) for word in {words!r}.split()]))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", helps,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    for line in (("up",), ("center",), ("center", "bundle", "list"), ("center", "backup", "x")):
        code, out, err = await bundle.run(*line)
        assert code != 0
        assert out == ""
        assert "install outrider[center]" in err, line
        assert "Traceback" not in err
