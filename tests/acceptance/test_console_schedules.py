"""The console's schedules: what runs by itself, when next, and what came of it."""

import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.browsing import named_hosts, person, user
from tests.acceptance.fleet import Fleet

pytestmark = pytest.mark.timeout(120)


async def test_a_schedule_is_made_run_changed_and_deleted(fleet: Fleet, browser: Browser) -> None:
    """The next times show before it is saved; it runs by itself and by hand; its dispatches lead back."""
    await named_hosts(fleet, "web-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/schedules")
        await expect(page.get_by_text("No schedules yet")).to_be_visible()
        await page.get_by_role("button", name="New schedule").click()
        await page.get_by_label("Name").fill("often")
        await page.get_by_label("Cron expression").fill("61 * * * *")
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.get_by_label("Cron expression").fill("30 3 * * MON-FRI")
        await page.get_by_label("Time zone").fill("Europe/Berlin")
        await expect(page.get_by_role("list").filter(has_text="UTC").get_by_role("listitem")).to_have_count(3)
        await page.get_by_role("combobox", name="Target").fill("all")
        await page.get_by_label("Command line").fill("echo done")
        await expect(page.get_by_text("1 host", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Make the schedule").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("often")
        await expect(page.get_by_text("30 3 * * MON-FRI (Europe/Berlin)")).to_be_visible()
        await page.get_by_role("button", name="Run now").click()
        await page.get_by_role("button", name="Run on 1 host").click()
        await expect(page.get_by_text("exit code 0")).to_be_visible()
        await page.get_by_role("link", name="often").click()
        firings = page.get_by_role("list", name="Firings").get_by_role("listitem")
        await expect(firings).to_have_count(1)
        await expect(firings).to_contain_text("by hand")
        await page.get_by_role("button", name="Change").click()
        await page.get_by_role("tab", name="At intervals").click()
        await page.get_by_label("Every").fill("1 s")
        await page.get_by_role("button", name="Save the schedule").click()
        await expect(firings.nth(2)).to_be_visible()
        await page.get_by_role("switch", name="often is on").click()
        await page.get_by_role("link", name="Schedules").last.click()
        listed = page.get_by_role("list", name="Schedules").get_by_role("listitem")
        await expect(listed).to_contain_text("fired")
        await expect(listed).to_contain_text("off")
        await listed.get_by_role("link", name="often").click()
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("button", name="Delete the schedule").click()
        await expect(page.get_by_text("No schedules yet")).to_be_visible()
    name = await user(fleet, "viewer")
    async with person(browser, fleet) as viewer:
        await viewer.sign_in("/commands", username=name)
        await viewer.is_in()
        await expect(viewer.page.get_by_role("link", name="Schedules")).to_have_count(0)
        await expect(viewer.page.get_by_role("button", name="Schedules")).to_have_count(0)
        await viewer.go("/schedules")
        await expect(viewer.page.get_by_text("Schedules are for operators")).to_be_visible()
