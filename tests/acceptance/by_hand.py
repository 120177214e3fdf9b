"""An agent on a bare host that somebody has put there by hand, and starts in a way of their own."""

import asyncio
import json
import shlex
from typing import Any, Final

from outrider.bootstrap.target import Target
from tests.fixtures.api import Api
from tests.fixtures.bare_host import BareHost

PROGRAM: Final = "/usr/bin/python3 -I -S /root/by-hand/site agent"
HOME: Final = "/srv/agent"
WRITTEN: Final = (HOME, "/root/by-hand")
"""What it writes to: its data, and what Python compiles of it."""
_PATIENCE: Final = 60.0
_LOOK_SECONDS: Final = 0.1


async def unpack(api: Api, host: BareHost) -> None:
    """Put the agent's files on the host, as one would with pip elsewhere."""
    target = Target.here()
    offer = await api.get(f"/api/agents/bundle/offer?python={target.python}&platform={target.platform}")
    archive = await api.ask("GET", f"/api/agents/bundle/{offer['digest']}")
    await host.sh("mkdir /root/by-hand && tar -xzf - -C /root/by-hand", stdin=archive.body)


async def settings(api: Api, url: str) -> dict[str, str]:
    """The variables that such an agent is told by."""
    key = (await api.post("/api/enrolment-keys", {"approve": True}))["key"]
    return {
        "OUTRIDER_HOME": HOME,
        "OUTRIDER_CENTER_URL": url,
        "OUTRIDER_ENROLMENT_KEY": key,
        "OUTRIDER_MAX_PARALLEL": "7",
        "OUTRIDER_LABEL": "by hand",
    }


async def start(host: BareHost, variables: dict[str, str], *, user: str = "root") -> None:
    """Start it in the background, as from a terminal that was closed."""
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    run = f"setpriv --reuid={user} --regid=$(id -g {user}) --clear-groups env {given} {PROGRAM}"
    await host.sh(f"setsid {run} </dev/null >/dev/null 2>&1 &")


async def enrolled(host: BareHost, home: str = HOME) -> Any:
    """The record of its enrolment, once it is connected."""
    folder = host.root / home.lstrip("/") / "agent"
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                standing = json.loads((folder / "standing.json").read_bytes())
                if standing["state"] == "CONNECTED":
                    return json.loads((folder / "enrolment.json").read_bytes())
            except (FileNotFoundError, ValueError):
                pass
            await asyncio.sleep(_LOOK_SECONDS)
