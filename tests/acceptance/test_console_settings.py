"""The room Settings in a real browser."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.browsing import person, user
from tests.acceptance.fleet import Fleet

pytestmark = pytest.mark.timeout(180)


async def test_the_browser_is_set_and_the_center_told_of(fleet: Fleet, browser: Browser) -> None:
    """Theme and times are kept; version and authority are there; a viewer is told no more."""
    name = await user(fleet, "viewer")
    async with person(browser, fleet) as viewer:
        page = viewer.page
        await viewer.sign_in(username=name)
        await viewer.is_in()
        await page.keyboard.press("g")
        await page.keyboard.press(",")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
        await expect(page.get_by_text(re.compile(r"SHA-256 ([0-9A-F]{2}:){31}"))).to_be_visible()
        await expect(page.get_by_text("How this center is set")).to_have_count(0)
        await expect(page.get_by_role("link", name="Enrol")).to_have_count(0)
        await page.get_by_role("tab", name="UTC").click()
        await page.get_by_role("tab", name="Dark").click()
        await page.reload()
        await expect(page.locator("main time").first).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d .* UTC$"))
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.get_by_role("tab", name="As the system").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")
        await page.emulate_media(color_scheme="dark")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.get_by_role("tab", name="How long ago").click()
        await expect(page.locator("main time").first).to_have_text("1 h ago")
    async with person(browser, fleet) as admin:
        page = admin.page
        await admin.sign_in("/settings")
        listed = page.get_by_role("list", name="Settings of the center").get_by_role("listitem")
        await expect(listed.filter(has_text="admin_password")).to_contain_text("set, not shown")
        await page.get_by_label("Find a setting").fill("heartbeat")
        await expect(listed.first).to_contain_text("as it comes: 10.0")
        await page.get_by_label("Find a setting").fill("")
        await page.get_by_role("checkbox").check()
        await expect(listed.filter(has_text="session_hours")).to_have_count(0)
        await expect(listed.filter(has_text="tls_listen")).to_have_count(1)
        await page.set_viewport_size({"width": 390, "height": 780})
        assert not await admin.is_too_wide()
        assert await admin.findings() == []
