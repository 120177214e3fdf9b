"""The console over many hosts, and over links that break."""

import asyncio

import pytest
from playwright.async_api import Browser, expect

from bench.rig.stored_fleet import store_fleet
from tests.acceptance.browsing import named_hosts, person
from tests.acceptance.fleet import Fleet

MANY = 10_000
pytestmark = pytest.mark.timeout(180)


async def test_ten_thousand_hosts_are_scrolled_and_filtered(fleet: Fleet, browser: Browser) -> None:
    """All are there, few are drawn; the wheel and the keys reach the last, and a filter finds one of them."""
    await fleet.center.stop()
    await asyncio.to_thread(store_fleet, fleet.center.home / "center.db", MANY)
    await fleet.center.start()
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/hosts")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Hosts 10,000")
        grid = page.get_by_role("grid", name="Hosts")
        await expect(grid).to_have_attribute("aria-rowcount", str(MANY + 1))
        await expect(grid.get_by_text("db-00000")).to_be_visible()
        await grid.hover()
        await page.mouse.wheel(0, 120_000)
        await expect(grid.get_by_text("db-06000")).to_be_visible()
        await grid.press("End")
        await expect(grid.get_by_text("web-09999")).to_be_visible()
        assert await grid.get_by_role("row").count() < 60
        await page.get_by_label("Filter by target").fill("tag:SITE=x7 and web-0820*")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Hosts 1")
        await expect(grid.get_by_text("web-08207")).to_be_visible()
        await page.get_by_label("Filter by target").fill("")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Hosts 10,000")
        await page.get_by_label("Select all").check()
        await expect(page.get_by_text("10,000 hosts", exact=True)).to_be_visible()


async def test_a_link_that_is_cut_and_comes_back_shows(fleet: Fleet, browser: Browser) -> None:
    """The host's page says that it is away, takes commands for later, and shows their answer then."""
    proxy = await fleet.add_proxy()
    host = await fleet.add_host("far", proxy=proxy)
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{host.agent_id}")
        await expect(page.get_by_text("online", exact=True).first).to_be_visible()
        proxy.refuse(on=True)
        proxy.cut()
        await expect(page.get_by_text("offline", exact=True).first).to_be_visible()
        line = page.get_by_label("Command to run on this host")
        await expect(line).to_have_attribute("placeholder", "It runs when the host is back")
        await line.fill("echo was away")
        await line.press("Enter")
        await expect(page.get_by_text("queued").first).to_be_visible()
        proxy.refuse(on=False)
        await expect(page.get_by_role("region", name="Output")).to_have_text("was away\n")
        await expect(page.get_by_text("online", exact=True).first).to_be_visible()


async def test_two_people_see_what_the_other_does(fleet: Fleet, browser: Browser) -> None:
    """A tag, a command and its answer by one are on the other's page without a reload."""
    ids = await named_hosts(fleet, "web-01")
    path = f"/hosts/{ids['web-01']}"
    async with person(browser, fleet) as one, person(browser, fleet) as other:
        await one.sign_in(path)
        await other.sign_in(path)
        await one.page.get_by_label("New tag").fill("canary")
        await one.page.keyboard.press("Enter")
        await expect(other.page.get_by_label("Remove the tag canary")).to_be_visible()
        await one.page.get_by_label("Command to run on this host").fill("echo hello from one")
        await one.page.keyboard.press("Enter")
        await expect(other.page.get_by_role("button", name="echo hello from one")).to_contain_text(
            "succeeded"
        )
        await other.go("/hosts")
        await one.page.get_by_label("Remove the tag canary").click()
        await expect(other.page.get_by_role("gridcell", name="canary")).to_have_count(0)
