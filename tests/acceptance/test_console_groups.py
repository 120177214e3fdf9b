"""The console's groups and profiles: who belongs, what they get, and what a change would do."""

import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.browsing import named_hosts, person, user
from tests.acceptance.fleet import Fleet

pytestmark = pytest.mark.timeout(120)


async def test_a_group_is_made_by_a_rule_changed_and_filled_by_hand(fleet: Fleet, browser: Browser) -> None:
    """A wrong rule is pointed at; who fits shows before it is saved; members move live, by hand and back."""
    ids = await named_hosts(fleet, "web-01", "web-02", "db-01")
    for name in ("web-01", "web-02"):
        await fleet.api.call("PATCH", f"/agents/{ids[name]}", {"tags": ["SITE=x1"]})
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/groups")
        await expect(page.get_by_text("No groups yet")).to_be_visible()
        await page.get_by_role("button", name="New group").click()
        await page.get_by_label("Name").fill("site one")
        rule = page.get_by_label("Sorting rule")
        await rule.fill("SITE=x1 ADN A=1")
        await expect(page.get_by_role("alert").locator("mark")).to_be_visible()
        await rule.fill("SITE=x1")
        await expect(page.get_by_text("web-01, web-02")).to_be_visible()
        await page.get_by_role("button", name="Make the group with 2 hosts").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("site one")
        members = page.get_by_role("list", name="Hosts in the group").get_by_role("listitem")
        await expect(members).to_have_count(2)
        await fleet.api.call("PATCH", f"/agents/{ids['web-02']}", {"tags": []})
        await expect(members).to_have_count(1)
        await page.get_by_role("combobox", name="Hosts to put in by hand").fill("db-01")
        await page.get_by_role("button", name="Put in 1 host").click()
        await expect(members).to_have_count(2)
        await page.get_by_role("button", name="Take out db-01").click()
        await expect(members).to_have_count(1)
        await page.get_by_role("button", name="Undo").last.click()
        await expect(members).to_have_count(2)
        await page.get_by_role("button", name="Change").click()
        await page.get_by_label("Sorting rule").fill("SITE=x2")
        await expect(page.get_by_text("0 would join, 1 would leave")).to_be_visible()
        await page.get_by_role("button", name="Save, and move 1 host").click()
        await expect(members).to_have_count(1)
        await page.get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("dialog")).to_contain_text("1 host stays")
        await page.get_by_role("button", name="Delete the group").click()
        await expect(page.get_by_text("No groups yet")).to_be_visible()


async def test_a_profile_says_where_each_value_is_from_and_whom_a_change_reaches(
    fleet: Fleet, browser: Browser
) -> None:
    """Parameters are set, refused with what they take, unset and undone; a viewer can change none."""
    ids = await named_hosts(fleet, "web-01")
    profile = await fleet.api.call("POST", "/profiles", {"name": "small", "params": {}})
    body = {"name": "site", "profile": profile["id"]}
    group = await fleet.api.call("POST", "/groups", body)
    await fleet.api.call("POST", f"/groups/{group['id']}/members", {"add": [ids["web-01"]]})
    path = f"/groups/profiles/{profile['id']}"
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(path)
        await expect(page.get_by_text("up to 1 host at once")).to_be_visible()
        port = page.get_by_role("article", name="client_api_port")
        await expect(port).to_contain_text("built in")
        await port.get_by_role("button", name="Change").click()
        value = port.get_by_label("Value of client_api_port")
        await value.fill("99999")
        await port.get_by_role("button", name="Set").click()
        await expect(page.get_by_text("a port from 1 to 65535, not")).to_be_visible()
        await value.fill("4000")
        await port.get_by_role("button", name="Set").click()
        await expect(port).to_contain_text("set here")
        await page.get_by_label("Name of the parameter").fill("poll")
        await page.get_by_label("Value of the parameter").fill("60")
        await page.get_by_role("button", name="Set", exact=True).click()
        await expect(page.get_by_role("article", name="poll")).to_contain_text("60")
        await port.get_by_role("button", name="Unset").click()
        await expect(port).to_contain_text("3840")
        await page.get_by_role("button", name="Undo").last.click()
        await expect(port).to_contain_text("4000")
        default = (await fleet.api.call("GET", "/profiles"))[0]
        assert default["is_default"]
        await fleet.api.call(
            "PATCH", f"/profiles/{default['id']}", {"params": {"client_api_token_auth": "false"}}
        )
        await expect(page.get_by_role("article", name="client_api_token_auth")).to_contain_text(
            "from default"
        )
    name = await user(fleet, "viewer")
    async with person(browser, fleet) as viewer:
        await viewer.sign_in(path, username=name)
        await expect(viewer.page.get_by_text("4000")).to_be_visible()
        for place, there in ((path, "4000"), (f"/groups/{group['id']}", "web-01"), ("/groups?new=1", "site")):
            await viewer.go(place)
            await expect(viewer.page.locator("main").get_by_text(there).first).to_be_visible()
            texts = await viewer.page.locator("main").get_by_role("button").all_inner_texts()
            assert set(texts) <= {"Show as hosts"}, place
