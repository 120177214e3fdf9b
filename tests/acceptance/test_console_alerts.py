"""The console's alerts: what fires, what rules watch for, who is told."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.acceptance.browsing import named_hosts, person, user
from tests.acceptance.fleet import Fleet

pytestmark = pytest.mark.timeout(120)


async def silence_later(page: Page) -> None:
    """Make a silence of all hosts from one time to another; the form says when it can't be."""
    await page.get_by_role("button", name="New silence").click()
    await page.get_by_role("combobox", name="Target").fill("all")
    await page.get_by_role("tab", name="From one time to another").click()
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    await page.get_by_label("From", exact=True).fill(f"{day}T03:30")
    await page.get_by_label("Until").fill(f"{day}T03:00")
    await expect(page.get_by_text("It ends after it starts")).to_be_visible()
    await page.get_by_label("Until").fill(f"{day}T04:30")
    await expect(page.locator("time").first).to_contain_text("UTC")
    await page.get_by_role("button", name="Silence", exact=True).click()


async def test_a_rule_is_made_fires_and_is_acknowledged(fleet: Fleet, browser: Browser) -> None:
    """Its form knows the kinds; what fires leads to its host; silences start now or later; a viewer looks."""
    ids = await named_hosts(fleet, "web-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/alerts")
        await page.get_by_role("button", name="Make the first rule").click()
        await page.get_by_label("Name").fill("commands")
        await page.get_by_label("Fires when").select_option("metric")
        await expect(page.get_by_label("Figure")).to_have_value("cpu_percent")
        await page.get_by_label("For", exact=True).fill("soon")
        await expect(page.get_by_text("at most 7 days")).to_be_visible()
        await page.get_by_label("Fires when").select_option("command_failed")
        await expect(page.get_by_text("web-01")).to_be_visible()
        await page.get_by_role("button", name="Make the rule").click()
        rules = page.get_by_role("list", name="Rules").get_by_role("listitem")
        await expect(rules).to_contain_text("a command fails on all")
        command = {"type": "shell", "params": {"command": "exit 4"}}
        await fleet.api.call("POST", f"/agents/{ids['web-01']}/commands", command)
        await expect(rules).to_contain_text("1 firing")
        await page.get_by_role("link", name="Now").click()
        alerts = page.get_by_role("list", name="Alerts of commands").get_by_role("listitem")
        await expect(alerts.get_by_role("link", name="web-01")).to_be_visible()
        await page.get_by_role("button", name="Acknowledge it").click()
        await expect(alerts).to_contain_text("seen by admin")
        await alerts.get_by_role("link", name="web-01").click()
        await page.get_by_role("region", name="1 alert").get_by_role("link", name="commands").click()
        await expect(page.get_by_label("Name")).to_have_value("commands")
        await somebody.go("/alerts")
        await page.get_by_role("button", name="Silence…").click()
        await page.get_by_label("Reason").fill("new switch")
        await page.get_by_role("button", name="Silence", exact=True).click()
        silences = page.get_by_role("list", name="Silences").get_by_role("listitem")
        await expect(silences).to_contain_text("new switch")
        await page.get_by_role("button", name="End now").click()
        await expect(silences).to_contain_text("over")
        await silence_later(page)
        await expect(silences.first).to_contain_text("to come")
        name = await user(fleet, "viewer")
        async with person(browser, fleet) as viewer:
            await viewer.sign_in("/alerts", username=name)
            await viewer.is_in()
            for place, there in (
                ("/alerts", "web-01"),
                ("/alerts/rules?new=1", "a command fails on all"),
                ("/alerts/silences?new=1", "new switch"),
                ("/alerts/channels", "No channels yet"),
            ):
                await viewer.go(place)
                await expect(viewer.page.locator("main").get_by_text(there).first).to_be_visible()
                await expect(viewer.page.locator("main").get_by_role("button")).to_have_count(0)
        await somebody.go("/alerts/rules")
        await page.get_by_role("switch", name="commands is on").click()
        await expect(page.get_by_text("1 alert of it ended without a notice")).to_be_visible()
        await page.get_by_role("link", name="History").click()
        await expect(page.get_by_role("list", name="Alerts that are over")).to_contain_text("web-01")


async def test_a_channel_is_tested_before_a_rule_counts_on_it(fleet: Fleet, browser: Browser) -> None:
    """A test is sent for real, and says what became of it; one that a rule tells can't be deleted."""
    told: list[str] = []

    async def take(request: web.Request) -> web.Response:
        told.append(await request.text())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with person(browser, fleet) as somebody:
            page = somebody.page
            await somebody.sign_in("/alerts/channels")
            await page.get_by_role("button", name="Make the first channel").click()
            await page.get_by_label("Name").fill("ops")
            await page.get_by_label("Address").fill("nosuch://x")
            await page.get_by_role("button", name="Make the channel").click()
            await expect(page.get_by_role("alert")).to_be_visible()
            await page.get_by_label("Address").fill(f"json://127.0.0.1:{port}/hook")
            await page.get_by_role("button", name="Make the channel").click()
            await page.get_by_role("button", name="Test ops").click()
            await expect(page.get_by_text("test sent")).to_be_visible()
            assert len(told) == 1
            (channel,) = await fleet.api.call("GET", "/alert-channels")
            rule = {"name": "away", "when": {"kind": "offline", "for_s": 60}, "target": "all"}
            await fleet.api.call("POST", "/alert-rules", {**rule, "channels": [channel["id"]]})
            await expect(page.get_by_text("1 rule tells it")).to_be_visible()
            await expect(page.get_by_role("button", name="Delete ops")).to_be_disabled()
            await somebody.go("/alerts/history?of=notices")
            await expect(page.get_by_role("list", name="What was told")).to_contain_text("sent")
    finally:
        await runner.cleanup()
