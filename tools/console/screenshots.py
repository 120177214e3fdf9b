"""`./dev console screenshots`: the pages of the console and its dialogs, both themes, on desktop and phone.

For people to look at. A center of its own with real agents is filled with what a fleet has: tags, groups,
commands that went well and badly, an alert, users, keys. Nothing of the machine's own center is touched.
"""

import argparse
import asyncio
import sys
import time
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
PAGES: Final = {
    "overview": "/",
    "hosts": "/hosts",
    "host": "/hosts/{host}",
    "host-processes": "/hosts/{host}/processes",
    "host-services": "/hosts/{host}/services",
    "host-logs": "/hosts/{host}/logs",
    "host-files": "/hosts/{host}/files?path=%2Fetc",
    "host-terminal": "/hosts/{host}/terminal",
    "host-microservices": "/hosts/{host}/microservices?id=sensor",
    "host-agent": "/hosts/{host}/agent",
    "commands": "/commands",
    "commands-new": "/commands?new=1&target=tag%3Aweb",
    "dispatch": "/commands/{dispatch}",
    "schedules": "/schedules",
    "schedules-new": "/schedules?new=1&target=tag%3Aweb",
    "schedule": "/schedules/{schedule}",
    "enrol": "/enrol",
    "enrol-keys": "/enrol/keys",
    "enrol-keys-new": "/enrol/keys?new=1",
    "enrol-deploy": "/enrol/deploy",
    "enrol-deploy-new": "/enrol/deploy?new=1",
    "deployment": "/enrol/deploy/{deployment}",
    "enrol-dials": "/enrol/dials",
    "enrol-bundles": "/enrol/bundles",
    "groups": "/groups",
    "groups-new": "/groups?new=1",
    "group": "/groups/{group}",
    "profiles": "/groups/profiles",
    "profile": "/groups/profiles/{profile}",
    "alerts": "/alerts",
    "alert-rules": "/alerts/rules",
    "alert-rules-new": "/alerts/rules?new=1",
    "silences": "/alerts/silences",
    "silences-new": "/alerts/silences?new=1",
    "channels": "/alerts/channels",
    "alert-history": "/alerts/history",
    "access": "/access",
    "user": "/access/{user}",
    "account": "/account",
    "audit": "/audit",
    "settings": "/settings",
    "components": "/components",
    "sign-in": "/",
}
"""Each page by its name, and its address."""
DIALOGS: Final = {
    "palette": ("/", "Search or go to"),
    "access-new": ("/access", "Add user"),
    "token-new": ("/access/{user}", "Make token"),
    "channel-new": ("/alerts/channels", "New channel"),
    "second-factor": ("/account", "Turn on"),
    "group-delete": ("/groups/{group}", "Delete"),
}
"""Dialogs: the page each is on, and what the button says that opens it."""
_ADDRESSES: Final = {**{name: path for name, (path, _) in DIALOGS.items()}, **PAGES}
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
    pages = {name: path for name, path in _ADDRESSES.items() if not wanted or name in wanted}
    async with _fleet() as (center, ids), open_browser() as browser:
        for scheme in _SCHEMES:
            for size, (width, height) in _SIZES.items():
                async with _looking(browser, center, scheme, width, height) as page:
                    for name, path in pages.items():
                        if name == _SIGNED_OUT:
                            await page.context.clear_cookies()
                        await page.goto(f"{center.url}/console{path.format(**ids)}")
                        await _still(page)
                        if name in DIALOGS:
                            await page.get_by_role("button", name=DIALOGS[name][1]).first.click()
                            await _still(page)
                        # A dialog lies over the window, wherever the page has been scrolled to.
                        path_of = folder / f"{name}-{size}-{scheme}.png"
                        await page.screenshot(path=path_of, full_page=name not in DIALOGS)
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
    group = await api.post("/api/groups", {"name": "berlin", "rule": "SITE=berlin", "profile": profile["id"]})
    await api.post("/api/groups", {"name": "north", "rule": "SITE=oslo"})
    user = await api.post("/api/users", {"username": "grace", "role": "operator", "password": ADMIN_PASSWORD})
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
    until = {"starts": time.time() + 3 * 3600, "ends": time.time() + 5 * 3600}
    await api.post("/api/silences", {"target": "tag:SITE=berlin", "reason": "new switch", **until})
    # Nobody listens there: a deployment that failed, with what to try.
    nowhere = {"host": "127.0.0.1", "ssh_port": 9, "ssh_user": "root", "ssh_password": "unused"}
    deployment = await api.post("/api/agents/deploy?wait=false", nowhere)
    schedule = await api.post(
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
    made = {"group": group, "profile": profile, "user": user, "schedule": schedule, "deployment": deployment}
    return {
        "host": quote(ids[0]),
        "dispatch": quote(dispatched[-1]),
        **{name: quote(str(each["id"])) for name, each in made.items()},
    }


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
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"among {', '.join(_ADDRESSES)}")
    given = parser.parse_args()
    unknown = sorted(set(given.pages) - set(_ADDRESSES))
    if unknown:
        parser.error(f"no page {', '.join(unknown)}; there are {', '.join(_ADDRESSES)}")
    given.to.mkdir(parents=True, exist_ok=True)
    taken = asyncio.run(take(given.to, given.pages))
    sys.stdout.write(f"{taken} screenshots in {given.to}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
