"""Debian's Chromium on a center's console, and what it tells of a page: frames, memory, times."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright

from bench.rig.programs import ADMIN_PASSWORD, CenterProgram

CHROMIUM: Final = "/usr/bin/chromium"
_SIZE: Final = (1280, 800)
_RECORD_FRAMES: Final = """() => {
  const record = (window.benchFrames = { on: true, gaps: [], last: performance.now() });
  const frame = (now) => {
    record.gaps.push(now - record.last);
    record.last = now;
    if (record.on) requestAnimationFrame(frame);
  };
  requestAnimationFrame((now) => { record.last = now; requestAnimationFrame(frame); });
}"""
_END_FRAMES: Final = "() => { window.benchFrames.on = false; return window.benchFrames.gaps; }"


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start a browser without a window for the block."""
    async with async_playwright() as playwright:
        # Benchmarks run as root in containers too, where Chromium's own sandbox can't be set up.
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def signed_in(browser: Browser, center: CenterProgram) -> AsyncIterator[BrowserContext]:
    """Give a context in which the first user is signed in; it has opened no page and cached nothing."""
    context = await browser.new_context(viewport={"width": _SIZE[0], "height": _SIZE[1]})
    try:
        answer = await context.request.post(
            f"{center.url}/api/browser/login",
            data={"username": "admin", "password": ADMIN_PASSWORD},
            headers={"Origin": center.url},
        )
        if not answer.ok:
            raise RuntimeError(f"signing in was answered with {answer.status}")
        yield context
    finally:
        await context.close()


async def slowed(page: Page, times: int) -> CDPSession:
    """Give the page a processor that is so many times slower."""
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setCPUThrottlingRate", {"rate": times})
    return session


@asynccontextmanager
async def frames(page: Page) -> AsyncIterator[list[float]]:
    """Record the milliseconds between the page's frames during the block; there when it has ended."""
    gaps: list[float] = []
    await page.evaluate(_RECORD_FRAMES)
    yield gaps
    gaps.extend(await page.evaluate(_END_FRAMES))


async def heap_bytes(session: CDPSession) -> int:
    """Return the bytes that a page's scripts hold after everything that nobody needs was let go."""
    for _ in range(2):
        await session.send("HeapProfiler.collectGarbage")
    usage: dict[str, Any] = await session.send("Runtime.getHeapUsage")
    return int(usage["usedSize"])
