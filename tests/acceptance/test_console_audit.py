"""The console's room for the audit log."""

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.browsing import person
from tests.acceptance.fleet import PASSWORD, Fleet

pytestmark = pytest.mark.timeout(180)


async def test_the_audit_log_is_read_narrowed_and_exported(
    fleet: Fleet, browser: Browser, tmp_path: Path
) -> None:
    """New entries come by themselves, older ones as one scrolls; what narrows it is in the address."""
    for number in range(220):
        await fleet.api.call("POST", "/groups", {"name": f"group {number}"})
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/audit")
        grid = page.get_by_role("grid", name="Audit log")
        await expect(grid.get_by_role("row").nth(1)).to_contain_text("session.open")
        await fleet.api.call("POST", "/users", {"username": "ada", "role": "operator", "password": PASSWORD})
        await expect(grid.get_by_role("row").nth(1)).to_contain_text("user.add", timeout=3_000)
        # The second page comes when the end of the first is in sight.
        await grid.press("End")
        await expect(grid.get_by_text("name: group 30,")).to_be_visible()
        await grid.press("End")
        await expect(grid.get_by_text("center.start")).to_be_visible()
        await fleet.api.call("POST", "/groups", {"name": "later"})
        await page.get_by_role("button", name="1 new entry").click()
        await page.get_by_label("Action").fill("user")
        await expect(grid.get_by_role("row")).to_have_count(3)
        assert "action=user" in page.url
        await grid.get_by_text("username: ada").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("UTC")
        await expect(dialog.get_by_role("region", name="Data")).to_contain_text('"username": "ada"')
        shared = page.url
        await page.goto(shared)
        await expect(page.get_by_role("dialog")).to_contain_text("user.add")
        await page.keyboard.press("Escape")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Export all").click()
        await (await download.value).save_as(tmp_path / "audit.ndjson")
        lines = (tmp_path / "audit.ndjson").read_text().splitlines()
        assert json.loads(lines[0])["number"] == 1
        assert len(lines) > 220
        await page.get_by_role("button", name="Verify").click()
        await expect(page.get_by_text("The log is what was written")).to_be_visible()
