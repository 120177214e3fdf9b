"""Debian's Chromium on the console of a real center."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from outrider.center.console.pages import BUILT
from tests.acceptance.fleet import PASSWORD, Fleet

CHROMIUM: Final = "/usr/bin/chromium"
DESKTOP: Final = (1280, 800)
PHONE: Final = (390, 780)
_AXE: Final = Path(__file__).parents[2] / "console" / "node_modules" / "axe-core" / "axe.min.js"
_LOOK: Final = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, help, impact, nodes }) => (
    { id, help, impact, nodes: nodes.slice(0, 3).map((node) => node.html) }
  ));
}"""
_LOOKS: Final[tuple[tuple[Literal["light", "dark"], tuple[int, int]], ...]] = (
    ("light", DESKTOP),
    ("dark", PHONE),
)
_SERIOUS: Final = frozenset({"serious", "critical"})
_PATIENCE_MS: Final = 20_000
_HANDLED: Final = ("Failed to load resource", "WebSocket connection to")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start a browser without a window for the block."""
    assert (BUILT / "index.html").exists(), "the console is not built: ./dev console"
    expect.set_options(timeout=_PATIENCE_MS)
    async with async_playwright() as playwright:
        # Tests run as root in containers, where Chromium's own sandbox can't be set up.
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


class Person:
    """Somebody with a browser of their own, in which nothing may break and no script of others may run."""

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        """Look at the center at `url`."""
        self.context = context
        self.page = page
        self.url = url
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._said)

    def _said(self, message: ConsoleMessage) -> None:
        # A refused or failed request is something that pages handle; a refused script or style is a fault.
        if message.type == "error" and not any(each in message.text for each in _HANDLED):
            self.faults.append(message.text)

    async def go(self, path: str) -> None:
        """Open an address of the console."""
        await self.page.goto(f"{self.url}/console{path}")

    async def sign_in(self, path: str = "/", username: str = "admin", password: str = PASSWORD) -> None:
        """Open an address and sign in on the way."""
        await self.go(path)
        await self.page.get_by_label("User name").fill(username)
        await self.page.get_by_label("Password").fill(password)
        await self.page.keyboard.press("Enter")

    async def is_in(self) -> None:
        """Return once the frame is there and live."""
        await expect(self.page.get_by_text("Live", exact=True).first).to_be_visible()

    async def findings(self) -> list[str]:
        """Give what axe finds serious on the page."""
        if not await self.page.evaluate("() => 'axe' in window"):
            await self.page.evaluate(await asyncio.to_thread(_AXE.read_text))
        found: list[dict[str, Any]] = await self.page.evaluate(_LOOK)
        return [
            f"{each['id']}: {each['help']}: {json.dumps(each['nodes'])}"
            for each in found
            if each["impact"] in _SERIOUS
        ]

    async def shortcomings(self) -> list[str]:
        """Give what is wrong with the page that is open, in light on a screen and in dark on a phone.

        That is what axe finds serious, and a page that is too wide.
        """
        found = []
        for scheme, size in _LOOKS:
            await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await self.page.set_viewport_size({"width": size[0], "height": size[1]})
            await expect(self.page.locator("html")).to_have_attribute("data-theme", scheme)
            found += [f"{scheme}: {each}" for each in await self.findings()]
            if await self.is_too_wide():
                found.append(f"wider than {size[0]}")
        return found

    async def is_too_wide(self) -> bool:
        """Tell whether the page has to be scrolled sideways."""
        wide: bool = await self.page.evaluate(
            "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        return wide


@asynccontextmanager
async def person(
    browser: Browser, at: Fleet | str, *, size: tuple[int, int] = DESKTOP, scheme: Any = "light"
) -> AsyncIterator[Person]:
    """Give somebody new for the block, at a fleet's center or one of this address.

    In the end nothing may have gone wrong on their page.
    """
    url = at if isinstance(at, str) else f"http://127.0.0.1:{at.center.port}"
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(_PATIENCE_MS)
    try:
        somebody = Person(context, await context.new_page(), url)
        yield somebody
        assert not somebody.faults, somebody.faults
    finally:
        await context.close()


async def user(fleet: Fleet, role: str) -> str:
    """Add somebody with a role; return their name."""
    body = {"username": f"the_{role}", "role": role, "password": PASSWORD}
    await fleet.api.call("POST", "/users", body)
    return body["username"]


async def named_hosts(fleet: Fleet, *names: str) -> dict[str, str]:
    """Connect hosts and label them; return their agents' ids by label."""
    ids = {}
    for name in names:
        host = await fleet.add_host(f"host-{len(fleet.hosts)}")
        await fleet.api.call("PATCH", f"/agents/{host.agent_id}", {"label": name})
        ids[name] = host.agent_id
    return ids
