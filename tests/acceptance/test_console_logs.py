"""The console's view of a host's logs, in a real browser."""

import asyncio
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, expect

from tests.acceptance.browsing import PHONE, named_hosts, person
from tests.acceptance.fleet import Fleet

pytestmark = pytest.mark.timeout(120)


def _append(file: Path, *lines: str) -> None:
    with file.open("a", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for line in lines)


async def _draws(page: Page) -> None:
    """Return when the page has drawn what it knows."""
    await page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


async def test_a_log_is_followed_filtered_paused_and_taken_along(fleet: Fleet, browser: Browser) -> None:
    """Lines come as they are written; a pause counts what came; what is shown can be saved, and shared."""
    ids = await named_hosts(fleet, "web-01")
    file = fleet.folder / "app.log"
    _append(file, *(f"line {number} of the past" for number in range(300)))
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{ids['web-01']}/logs?source=file")
        await page.get_by_label("File", exact=True).fill(str(file))
        await page.get_by_role("button", name="Show").click()
        log = page.get_by_role("region", name="Log")
        await expect(log).to_contain_text("line 299 of the past")
        assert f"file={quote(str(file), safe='')}" in page.url
        await asyncio.to_thread(_append, file, "now comes an ERROR", "and all is well")
        await expect(log).to_contain_text("and all is well")
        await page.get_by_label("Show lines with").fill("error")
        await expect(log).not_to_contain_text("all is well")
        await expect(log).to_contain_text("now comes an ERROR")
        await expect(page.get_by_text("1 of 302 lines")).to_be_visible()
        async with page.expect_download() as downloading:
            await page.get_by_role("button", name="Download").click()
        saved = await (await downloading.value).path()
        text = await asyncio.to_thread(Path(saved).read_text, "utf-8")
        assert text.endswith(" now comes an ERROR\n")
        assert text.count("\n") == 1
        await page.get_by_label("Show lines with").fill("")
        await expect(log).to_contain_text("and all is well")
        await log.hover()
        await page.mouse.wheel(0, -2000)
        await expect(page.get_by_role("button", name="Go on")).to_be_visible()
        await asyncio.to_thread(_append, file, "one more", "the newest")
        await page.get_by_role("button", name="Go on: 2 new").click()
        await expect(log).to_contain_text("the newest")
        await page.get_by_label("Regular expression").fill("^line 1?7 ")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_text("2 lines")).to_be_visible()


async def test_a_hostile_log_is_text_and_a_cut_one_goes_on(fleet: Fleet, browser: Browser) -> None:
    """Markup and escapes are shown, megabytes are cut; after the agent was away it goes on, nothing twice."""
    ids = await named_hosts(fleet, "web-01")
    file = fleet.folder / "hostile.log"
    _append(
        file, "<img src=x onerror=window.hacked=1>\x1b[2J\x1b]0;x\x07\u202eevil", "y" * 3_000_000, "after it"
    )
    async with person(browser, fleet, size=PHONE) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{ids['web-01']}/logs?file={quote(str(file))}")
        log = page.get_by_role("region", name="Log")
        await expect(log).to_contain_text("<img src=x onerror=window.hacked=1>\ufffdevil")
        await expect(log).to_contain_text("more characters on this line")
        await page.get_by_label("Wrap").check()
        await expect(log).to_contain_text("after it")
        await _draws(page)
        assert await page.evaluate("() => window.hacked") is None
        assert not await somebody.is_too_wide()
        program = fleet.hosts[0].program
        await program.kill()
        await expect(page.get_by_text(re.compile("not live since"))).to_be_visible()
        await asyncio.to_thread(_append, file, "written meanwhile")
        await program.start()
        await expect(log).to_contain_text("written meanwhile")
        assert (await log.inner_text()).count("written meanwhile") == 1
        await expect(page.locator("main").get_by_role("status")).to_have_text("live")
