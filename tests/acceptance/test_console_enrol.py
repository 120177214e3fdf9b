"""The room Enrol in a real browser: hosts that ask to join, keys, deploying over SSH, dials."""

import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.browsing import person
from tests.acceptance.fleet import Fleet
from tests.fixtures.center import PASSWORD as CENTER_PASSWORD
from tests.fixtures.center import RunningCenter
from tests.fixtures.ssh_host import PASSWORD, SshHost

pytestmark = pytest.mark.timeout(180)


async def test_a_key_is_made_and_who_joins_with_it_is_approved(fleet: Fleet, browser: Browser) -> None:
    """The key is shown once, with its lines; the host waits on the page, is let in; a key is revoked."""
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/enrol")
        await page.get_by_role("button", name="Make an enrolment key").click()
        await page.get_by_label("What it is for").fill("the new rack")
        await page.get_by_label("For how many hosts").select_option("several")
        await page.get_by_label("Number of hosts").fill("2")
        await page.get_by_label("Tags").fill("web, SITE=x1")
        await page.get_by_label("A short form, too").check()
        await page.get_by_role("button", name="Make the key").click()
        made = page.get_by_role("region", name="The key is made")
        await expect(made.locator("code").last).to_contain_text("curl -fsS")
        await page.get_by_role("tab", name="By hand").click()
        await expect(made.locator("code").last).to_contain_text("outrider agent provision")
        await page.get_by_role("tab", name="The key itself").click()
        key = await made.locator("code").last.inner_text()
        assert key.startswith("oek_")
        host = fleet.new_host("rack-1", center_url=fleet.url(), enrolment_key=key)
        await host.program.start()
        listed = page.get_by_role("region", name="Enrolment keys").get_by_role("listitem")
        await expect(listed.filter(has_text="the new rack")).to_contain_text("used 1 of 2")
        await page.get_by_role("button", name="I have it").click()
        assert key not in await page.content()
        await page.get_by_role("button", name="Revoke the new rack").click()
        await page.get_by_role("button", name="Revoke the key").click()
        await expect(listed.filter(has_text="the new rack")).to_have_count(0)
        await page.get_by_role("link", name="Approvals").click()
        await expect(page.get_by_text("SITE=x1")).to_be_visible()
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("Nobody waits")).to_be_visible()
    agents = await fleet.api.call("GET", "/agents")
    assert [(each["status"], sorted(each["tags"])) for each in agents] == [("online", ["SITE=x1", "web"])]


async def test_a_host_is_deployed_to_step_by_step(
    bare_center: RunningCenter, fresh_host: SshHost, browser: Browser
) -> None:
    """A wrong password is told with what to try; the right one brings the host online; no secret stays."""
    async with person(browser, bare_center.url) as somebody:
        page = somebody.page
        await somebody.sign_in("/enrol/deploy?new=1", password=CENTER_PASSWORD)
        await page.get_by_label("Hosts", exact=True).fill("@nobody")
        await expect(page.get_by_role("alert")).to_contain_text("Line 1")
        await page.get_by_label("Hosts", exact=True).fill(f"keeper@{fresh_host.address}")
        await page.get_by_label("SSH password").fill("a wrong one")
        await page.get_by_role("button", name="Deploy to 1 host").click()
        await expect(page.get_by_role("alert")).to_contain_text("Check the user name")
        steps = page.get_by_role("region", name="Steps").get_by_role("listitem")
        await expect(steps.nth(1)).to_contain_text("failed")
        await expect(page.get_by_text("SHA256:").first).to_be_visible()
        await page.get_by_role("button", name="Deploy again").click()
        await expect(page.get_by_label("Hosts", exact=True)).to_have_value(f"keeper@{fresh_host.address}")
        await expect(page.get_by_label("SSH password")).to_have_value("")
        await page.get_by_label("SSH password").fill(PASSWORD)
        await page.get_by_label("Sudo password").fill(PASSWORD)
        await page.get_by_text("More options").click()
        await page.get_by_label("Name at the center").fill("db-01")
        await page.get_by_label("The center's address").fill(bare_center.tls_url)
        await page.get_by_role("button", name="Deploy to 1 host").click()
        await expect(steps.nth(3)).to_contain_text("at work")
        await expect(steps.nth(5)).to_contain_text("done", timeout=90_000)
        kept = await page.evaluate(
            "() => JSON.stringify([location.href, {...sessionStorage}, history.state])"
        )
        assert PASSWORD not in kept + await page.content()
        await page.get_by_role("button", name="To the host").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("db-01")


async def test_dials_are_added_moved_and_removed(fleet: Fleet, browser: Browser) -> None:
    """A wrong address is told at its field; a move can be undone; what a removal means is said before."""
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/enrol/dials")
        await page.get_by_label("Address to dial").fill("no port")
        await page.get_by_role("button", name="Dial", exact=True).click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.get_by_label("Address to dial").fill("127.0.0.1:9")
        await page.get_by_role("button", name="Dial", exact=True).click()
        dials = page.get_by_role("region", name="Dials").get_by_role("listitem")
        await expect(dials).to_contain_text("dialling")
        await page.get_by_role("button", name="Move 127.0.0.1:9", exact=True).click()
        await page.get_by_label("New address").fill("127.0.0.1:10")
        await page.get_by_role("dialog").get_by_role("button", name="Move").click()
        await expect(dials).to_contain_text("127.0.0.1:10")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("button", name="Remove 127.0.0.1:9")).to_be_visible()
        await page.get_by_role("button", name="Remove 127.0.0.1:9").click()
        await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await expect(page.get_by_text("Nobody is dialled")).to_be_visible()
