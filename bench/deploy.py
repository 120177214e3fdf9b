"""How long a deployment over SSH takes, step by step: a real sshd, a real bundle, a real installer.

The host is a bare Debian root in namespaces of its own on this machine, so that nothing of the machine is
touched; it reaches the center by TLS. The root is the one that tests use, made by debootstrap where it is
missing. The first deployment makes the bundle as well; the second one finds all there already.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.rig.figures import Figure, say
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import CenterProgram
from bench.rig.usage import MEGABYTE, resident
from tests.fixtures.bare_host import BareHost, make_root, running_host
from tests.fixtures.ssh_host import KEY, running_ssh_host, set_up

TITLE = "deployment over SSH, one host on this machine"
_SECONDS: Final = 10.0


async def measure(options: Options) -> list[Figure]:
    """Deploy twice to one host, and once to another when the bundle is there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outrider-tests"
    root = await asyncio.to_thread(make_root, cache)
    with home() as folder:
        (folder / "first").mkdir()
        (folder / "second").mkdir()
        with running_host(root, folder / "first") as first:
            center = CenterProgram(folder)
            center.set(tls_listen=f"{first.center_address}:0")
            async with center:
                token = await sign_in(center)
                before = resident(center.pid) / MEGABYTE
                say("the first deployment, which makes the bundle")
                figures = await _deployed(center, token, first, folder, "first, with the bundle made")
                say("again")
                figures += await _deployed(center, token, first, folder, "again, nothing to be done")
                with running_host(
                    root, folder / "second", center_address=first.center_address, hostname="second"
                ) as second:
                    say("another host")
                    async with profiled(center.pid, wanted=options.profile):
                        figures += await _deployed(
                            center, token, second, folder, "another host", _SECONDS, steps=True
                        )
                after = resident(center.pid) / MEGABYTE
    return [*figures, Figure("center: memory that stays (SSH is loaded)", after - before, "MB")]


async def _deployed(
    center: CenterProgram,
    token: str,
    host: BareHost,
    folder: Path,
    name: str,
    budget: float | None = None,
    *,
    steps: bool = False,
) -> list[Figure]:
    if not (host.root / "home/keeper").exists():
        await asyncio.to_thread(set_up, host)
    async with running_ssh_host(host, folder) as ssh, Connection(center.url, token) as connection:
        body = {"host": ssh.address, "ssh_key_text": KEY, "known_host": ssh.key.text, "label": name}
        began = time.monotonic()
        done = await connection.post("/api/agents/deploy", body)
        took = time.monotonic() - began
        shown = await _shown(connection, done["deployment_id"])
    figures = [Figure(name, took, "s", budget)]
    begun = {note["step"]: note["time"] for note in shown["steps"] if note["state"] == "begun"}
    ended = {note["step"]: note["time"] for note in shown["steps"] if note["state"] == "done"}
    if steps:
        figures += [Figure(f"  {step}", ended[step] - begun[step], "s") for step in begun]
    return figures


async def _shown(connection: Connection, deployment_id: str) -> Any:
    return msgspec.json.decode(await connection.get(f"/api/deployments/{deployment_id}"))


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
