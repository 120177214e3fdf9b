"""`./dev console screenshots`: each page of the console, light and dark, on a desktop and on a phone.

For people to look at. A center of its own with real agents is filled with what a fleet has: tags, groups,
commands that went well and badly, an alert, users, keys. Nothing of the machine's own center is touched.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from playwright.async_api import Browser, Page

from bench.rig.browser import open_browser, signed_in
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import agents, enrolment_key, sign_in
from bench.rig.programs import ADMIN_PASSWORD, AgentProgram, CenterProgram

_SIZES: Final = {"desktop": (1280, 800), "phone": (390, 844)}
_SCHEMES: Final = ("light", "dark")
_HOSTS: Final = {
    "web-01": ["web", "SITE=berlin"],
    "web-02": ["web", "canary", "SITE=oslo"],
    "db-01": ["db", "SITE=berlin"],
    "build-runner-with-a-rather-long-name-01": ["build"],
}
_PAGES: Final = {
    "overview": "/",
    "hosts": "/hosts",
    "host": "/hosts/{host}",
    "host-processes": "/hosts/{host}/processes",
    "host-services": "/hosts/{host}/services",
    "host-logs": "/hosts/{host}/logs",
    "host-files": "/hosts/{host}/files?path=%2Fetc",
    "host-terminal": "/hosts/{host}/terminal",
    "host-microservices": "/hosts/{host}/microservices",
    "host-agent": "/hosts/{host}/agent",
    "commands": "/commands",
    "commands-new": "/commands?new=1&target=tag%3Aweb",
    "dispatch": "/commands/{dispatch}",
    "schedules": "/schedules",
    "enrol": "/enrol",
    "enrol-keys": "/enrol/keys",
    "enrol-deploy": "/enrol/deploy",
    "enrol-dials": "/enrol/dials",
    "groups": "/groups",
    "alerts": "/alerts",
    "alert-rules": "/alerts/rules",
    "access": "/access",
    "account": "/account",
    "audit": "/audit",
    "settings": "/settings",
    "components": "/components",
    "sign-in": "/",
}
_SIGNED_OUT: Final = "sign-in"
"""The last of them: who is signed out sees no other."""
_COMMANDS: Final = (
    "uptime",
    "uname -r; id -un",
    "test $(($$ % 2)) = 0 || { echo 'nginx: not running'; exit 3; }",
)
_STILL_MS: Final = 700
"""Until what comes over the network after a page is there has come, and nothing moves."""


async def take(folder: Path, wanted: Sequence[str]) -> int:
    """Write `NAME-desktop-light.png` and its like into `folder`; return how many."""
    taken = 0
    pages = {name: path for name, path in _PAGES.items() if not wanted or name in wanted}
    async with _fleet() as (center, ids), open_browser() as browser:
        for scheme in _SCHEMES:
            for size, (width, height) in _SIZES.items():
                async with _looking(browser, center, scheme, width, height) as page:
                    for name, path in pages.items():
                        if name == _SIGNED_OUT:
                            await page.context.clear_cookies()
                        await page.goto(f"{center.url}/console{path.format(**ids)}")
                        await _still(page)
                        await page.screenshot(path=folder / f"{name}-{size}-{scheme}.png", full_page=True)
                        taken += 1
    return taken


async def _still(page: Page) -> None:
    await page.locator("h1").first.wait_for()
    await page.wait_for_timeout(_STILL_MS)


@asynccontextmanager
async def _looking(
    browser: Browser, center: CenterProgram, scheme: Any, width: int, height: int
) -> AsyncIterator[Page]:
    async with signed_in(browser, center) as context:
        page = await context.new_page()
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.set_viewport_size({"width": width, "height": height})
        yield page


@asynccontextmanager
async def _fleet() -> AsyncIterator[tuple[CenterProgram, Mapping[str, str]]]:
    with home() as folder:
        async with CenterProgram(folder) as center, AsyncExitStack() as programs:
            token = await sign_in(center)
            key = await enrolment_key(center, token)
            for number in range(len(_HOSTS)):
                place = folder / f"host-{number}"
                place.mkdir()
                await programs.enter_async_context(AgentProgram(place, center.tls_url, key))
            async with Connection(center.url, token) as api:
                yield center, await _filled(api, [each["id"] for each in await agents(center, token)])


async def _filled(api: Connection, ids: Sequence[str]) -> Mapping[str, str]:
    """Do what people have done at a center that is in use; return the ids that addresses need."""
    for agent_id, (label, tags) in zip(ids, _HOSTS.items(), strict=True):
        await api.patch(f"/api/agents/{agent_id}", {"label": label, "tags": tags})
    profile = await api.post("/api/profiles", {"name": "edge", "params": {"client_api_enabled": "true"}})
    await api.post("/api/groups", {"name": "berlin", "rule": "SITE=berlin", "profile": profile["id"]})
    await api.post("/api/groups", {"name": "north", "rule": "SITE=oslo"})
    await api.post("/api/users", {"username": "grace", "role": "operator", "password": ADMIN_PASSWORD})
    await api.post("/api/users", {"username": "linus", "role": "viewer", "password": ADMIN_PASSWORD})
    await api.post("/api/enrolment-keys", {"uses": 20, "approve": False})
    channel = await api.post("/api/alert-channels", {"name": "on call", "url": "jsons://127.0.0.1:9/hook"})
    await api.post(
        "/api/alert-rules",
        {
            "name": "something failed",
            "when": {"kind": "command_failed"},
            "target": "all",
            "severity": "warning",
            "channels": [channel["id"]],
        },
    )
    await api.post(
        "/api/schedules",
        {
            "name": "nightly package lists",
            "when": {"cron": "30 3 * * MON-FRI", "zone": "Europe/Berlin"},
            "dispatch": {"target": "tag:web", "type": "shell", "params": {"command": "apt-get -q update"}},
        },
    )
    dispatched = [await _dispatched(api, command) for command in _COMMANDS]
    for command in _COMMANDS:
        await api.post(f"/api/agents/{ids[0]}/commands", {"type": "shell", "params": {"command": command}})
    config = '{"interval": 30, "broker": "mqtt://10.0.0.4"}'
    await api.put(f"/api/agents/{ids[0]}/microservices/sensor/config", {"config": config})
    return {"host": quote(ids[0]), "dispatch": quote(dispatched[-1])}


async def _dispatched(api: Connection, command: str) -> str:
    """Run a command on all hosts and wait for the end; return the dispatch's id."""
    body = {"target": "all", "type": "shell", "params": {"command": command}}
    dispatch_id = str((await api.post("/api/dispatches", body))["id"])
    async for _ in api.events(f"/api/dispatches/{dispatch_id}/stream"):
        pass
    return dispatch_id


def main() -> int:
    """Write all pages, or those that are named, into a folder; the folder is made."""
    parser = argparse.ArgumentParser(prog="./dev console screenshots", description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("build/screenshots"), metavar="FOLDER")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"among {', '.join(_PAGES)}")
    given = parser.parse_args()
    unknown = sorted(set(given.pages) - set(_PAGES))
    if unknown:
        parser.error(f"no page {', '.join(unknown)}; there are {', '.join(_PAGES)}")
    given.to.mkdir(parents=True, exist_ok=True)
    taken = asyncio.run(take(given.to, given.pages))
    sys.stdout.write(f"{taken} screenshots in {given.to}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
