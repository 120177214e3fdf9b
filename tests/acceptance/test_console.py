"""The console in a real browser, on a real center with real agents."""

import base64
import gzip
import re
import time
from typing import Any, Final

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from outrider.domain.totp import code_at, step_at
from tests.acceptance.browsing import PHONE, named_hosts, person, user
from tests.acceptance.fleet import PASSWORD, Fleet

FIRST_LOAD: Final = 120 * 1024
HOSTILE: Final = "<img src=x onerror=window.hacked=1>\u202e</script>"
pytestmark = pytest.mark.timeout(180)


async def test_signing_in_and_out(fleet: Fleet, browser: Browser) -> None:
    """A wrong password says so; the right one leads to where one wanted to go; no script has the token."""
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/hosts?target=status%3Aoffline", password="wrong")
        await expect(page.get_by_role("alert")).to_contain_text("wrong")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await somebody.is_in()
        await expect(page.get_by_label("Filter by target")).to_have_value("status:offline")
        kept = await page.evaluate(
            "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        )
        assert kept == '[{},{},""]'
        cookie = (await somebody.context.cookies())[0]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        await page.reload()
        await somebody.is_in()
        await page.get_by_role("button", name="admin super admin, account").click()
        await page.get_by_role("menuitem", name="Sign out").click()
        await expect(page.get_by_label("User name")).to_be_visible()
        assert await somebody.context.cookies() == []
        answer = await somebody.context.request.get(
            f"{somebody.url}/api/session", headers={"Cookie": f"{cookie['name']}={cookie['value']}"}
        )
        assert answer.status == 401


async def test_a_given_password_is_changed_and_a_second_factor_asked_for(
    fleet: Fleet, browser: Browser
) -> None:
    """Who was given a password chooses one first; who has a second factor is asked for a code."""
    given = await fleet.api.call("POST", "/users", {"username": "ada", "role": "viewer"})
    async with person(browser, fleet) as ada:
        await ada.sign_in(username="ada", password=given["password"])
        await ada.page.get_by_label("New password").fill("a much better one")
        await ada.page.get_by_label("Once more").fill("a much better one")
        await ada.page.get_by_role("button", name="Set password").click()
        await ada.is_in()
        headers = {"Origin": ada.url}
        request = ada.context.request
        made = await request.post(
            f"{ada.url}/api/totp", data={"password": "a much better one"}, headers=headers
        )
        secret = (await made.json())["secret"]
        code = code_at(base64.b32decode(secret), step_at(time.time()))
        done = await request.post(f"{ada.url}/api/totp/confirm", data={"code": code}, headers=headers)
        recovery = (await done.json())["recovery_codes"][0]
    async with person(browser, fleet) as ada:
        await ada.sign_in(username="ada", password="a much better one")
        await ada.page.get_by_label("Code").fill("000000")
        await ada.page.keyboard.press("Enter")
        await expect(ada.page.get_by_role("alert")).to_be_visible()
        await ada.page.get_by_label("Code").fill(recovery)
        await ada.page.keyboard.press("Enter")
        await ada.is_in()


async def test_overview_shows_what_needs_attention_as_it_happens(fleet: Fleet, browser: Browser) -> None:
    """From the empty fleet on: a host that asks to join is approved there, and one that goes away shows."""
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in()
        await expect(page.get_by_text("No hosts yet")).to_be_visible()
        key = await fleet.api.new_key(approve=False)
        host = fleet.new_host("asks", center_url=fleet.url(), enrolment_key=key)
        await host.program.start()
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("link", name="Online 1")).to_be_visible()
        await expect(page.get_by_text("Nothing: no alert")).to_be_visible()
        await host.program.kill()
        await expect(page.get_by_role("link", name="Offline 1")).to_be_visible()
        await expect(page.get_by_text("went offline")).to_be_visible()


async def test_hosts_are_filtered_tagged_and_given_a_command(fleet: Fleet, browser: Browser) -> None:
    """A filter is completed, a wrong one is pointed at; what is done to many says to how many."""
    await named_hosts(fleet, "web-01", "web-02", "db-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/hosts")
        await expect(page.get_by_role("row")).to_have_count(4)
        filter_ = page.get_by_label("Filter by target")
        await filter_.press_sequentially("tags:w")
        await expect(page.get_by_role("alert").locator("mark")).to_have_text("tags:")
        await filter_.fill("")
        await filter_.press_sequentially("we")
        await expect(page.get_by_role("option")).to_have_count(2)
        await filter_.fill("web-*")
        await expect(page.get_by_role("row")).to_have_count(3)
        assert "target=web-*" in page.url
        await page.get_by_label("Select all").check()
        await page.get_by_role("button", name="Tag", exact=True).click()
        await page.get_by_role("textbox", name="Tag").fill("SITE=x1")
        await page.get_by_role("button", name="Tag 2 hosts").click()
        await expect(page.get_by_role("gridcell", name="SITE=x1")).to_have_count(2)
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("gridcell", name="SITE=x1")).to_have_count(0)
        grid = page.get_by_role("grid")
        await grid.press("Home")
        await grid.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("web-01")
        await page.go_back()
        await page.get_by_label("Select web-02").check()
        await page.get_by_role("button", name="Run command").click()
        await expect(page.get_by_text("1 host", exact=True)).to_be_visible()


async def test_a_host_is_watched_and_told_what_to_do(fleet: Fleet, browser: Browser) -> None:
    """Facts, live figures, tags, a command whose output comes as it is said, and one that is cancelled."""
    ids = await named_hosts(fleet, "web-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{ids['web-01']}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("web-01")
        await expect(page.get_by_text("Kernel")).to_be_visible()
        await expect(page.locator("canvas")).to_have_count(4)
        await page.get_by_label("New tag").fill("web")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Remove the tag web")).to_be_visible()
        line = page.get_by_label("Command to run on this host")
        await line.fill("echo begun; read -r _ < /dev/zero")
        await line.press("Enter")
        await expect(page.get_by_role("region", name="Output")).to_have_text("begun\n")
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.locator(".run").get_by_text("cancelled").first).to_be_visible()
        await line.press("ArrowUp")
        await expect(line).to_have_value(re.compile("^echo begun"))
        await line.fill("echo out; echo err >&2; exit 3")
        await line.press("Enter")
        await expect(page.get_by_text("exit code 3")).to_be_visible()
        await expect(page.get_by_role("region", name="Errors")).to_have_text("err\n")
        shared = page.url
        await page.goto(shared)
        await expect(page.get_by_text("exit code 3")).to_be_visible()


async def test_a_dispatch_is_previewed_followed_and_retried(fleet: Fleet, browser: Browser) -> None:
    """Whom it hits shows before; equal answers stand together; what failed is tried again, on those alone."""
    await named_hosts(fleet, "web-01", "web-02", "db-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/commands?new=1")
        target = page.get_by_role("combobox", name="Target")
        await target.fill("nobody-*")
        await expect(page.get_by_text("Nobody fits")).to_be_visible()
        await target.fill("all")
        await expect(page.get_by_text("web-01, web-02").or_(page.get_by_text("db-01"))).to_be_visible()
        # One of the three makes the folder, and fails.
        line = f"echo same; mkdir {fleet.folder}/once 2>/dev/null && exit 4; exit 0"
        await page.get_by_label("Command line").fill(line)
        await page.get_by_role("button", name="Run on 3 hosts").click()
        groups = page.get_by_role("article")
        await expect(groups).to_have_count(2)
        await expect(groups.nth(0)).to_contain_text("exit code 4")
        await expect(groups.nth(1)).to_contain_text("2 hosts")
        await page.get_by_role("button", name="web-02").click()
        await expect(page.get_by_role("heading", name="web-02")).to_be_visible()
        await page.get_by_role("button", name="Retry 1 failed host").click()
        await expect(page.get_by_role("article")).to_have_count(1)
        await expect(page.get_by_text("1 host", exact=True).first).to_be_visible()
        await page.get_by_role("link", name="Commands").first.click()
        await expect(page.get_by_label("Dispatches").get_by_role("listitem")).to_have_count(2)


async def test_a_viewer_sees_no_button_that_can_not_work(fleet: Fleet, browser: Browser) -> None:
    """All rooms are open to look at; nothing there sends, tags, approves or selects."""
    ids = await named_hosts(fleet, "web-01")
    sent = await fleet.api.call(
        "POST", "/dispatches", {"target": "all", "type": "shell", "params": {"command": "exit 1"}}
    )
    name = await user(fleet, "viewer")
    async with person(browser, fleet) as viewer:
        page = viewer.page
        await viewer.sign_in("/hosts", username=name)
        await expect(page.get_by_role("row")).to_have_count(2)
        for path, there in (
            ("/hosts", "web-01"),
            (f"/hosts/{ids['web-01']}", "Kernel"),
            (f"/hosts/{ids['web-01']}/files", "web-01"),
            ("/commands?new=1", "exit 1"),
            (f"/commands/{sent['id']}", "exit code 1"),
            ("/", "Recent activity"),
        ):
            await viewer.go(path)
            await expect(page.get_by_text(there).first).to_be_visible()
            buttons = await page.locator("main").get_by_role("button").all_inner_texts()
            verbs = re.compile(
                r"\b(Run|Approve|Decline|Tag|Add|Cancel|Retry|Upload|New folder|Rename|Delete)\b"
            )
            assert not [text for text in buttons if verbs.search(text)], path
            await expect(page.locator("main input[type=checkbox]")).to_have_count(0)


async def test_a_hostile_host_runs_no_script_and_breaks_no_layout(fleet: Fleet, browser: Browser) -> None:
    """Markup, escapes, direction marks and long lines in names, tags, output and reasons are text."""
    ids = await named_hosts(fleet, HOSTILE)
    agent = ids[HOSTILE]
    long = "x" * 150
    await fleet.api.call("PATCH", f"/agents/{agent}", {"tags": ["web", f"NAME=<b onclick=x>{long}"]})
    line = (
        "printf '<script>window.hacked=1</script>\\033[2J\\033]0;x\\007\\342\\200\\256abc\\n';"
        " head -c 300000 /dev/zero | tr '\\0' y; echo '<img src=x onerror=window.hacked=1>' >&2; exit 1"
    )
    body: dict[str, Any] = {"target": "all", "type": "shell", "params": {"command": line}}
    sent = await fleet.api.call("POST", "/dispatches", body)
    async with person(browser, fleet, size=PHONE) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/commands/{sent['id']}")
        await expect(page.get_by_text("<script>window.hacked=1</script>\ufffdabc")).to_be_visible()
        for path in ("/", "/hosts", f"/hosts/{agent}", "/commands", f"/commands/{sent['id']}"):
            await somebody.go(path)
            shown = page.get_by_text("<img src=x").or_(page.get_by_text("printf"))
            await expect(shown.first).to_be_visible()
            assert not await somebody.is_too_wide(), path
            assert await page.evaluate("() => window.hacked") is None, path


async def test_axe_finds_nothing_serious(fleet: Fleet, browser: Browser) -> None:
    """Each room and its dialogs, in both themes, on a screen and on a phone; none is wider than the phone."""
    ids = await named_hosts(fleet, "web-01")
    await fleet.api.call("PATCH", f"/agents/{ids['web-01']}", {"tags": ["web"]})
    body = {"target": "all", "type": "shell", "params": {"command": "echo done"}}
    sent = await fleet.api.call("POST", "/dispatches", body)
    (admin,) = await fleet.api.call("GET", "/users")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.go("/")
        await expect(page.get_by_label("User name")).to_be_visible()
        assert await somebody.shortcomings() == []
        await somebody.sign_in()
        await somebody.is_in()
        for path, there, opens in (
            ("/", "Recent activity", "Search or go to"),
            ("/hosts", "web-01", ""),
            (f"/hosts/{ids['web-01']}", "Processor", ""),
            (f"/commands/{sent['id']}", "exit code 0", ""),
            ("/commands?new=1&target=all", "Run on 1 host", ""),
            ("/schedules?new=1&target=all", "Next:", ""),
            ("/groups?new=1", "No rule: nobody", ""),
            ("/groups/profiles", "all others inherit", "New profile"),
            ("/groups/profiles/prof_00000000000000000000", "client_api_port", ""),
            ("/alerts/rules?new=1", "Who is told", ""),
            ("/alerts/silences?new=1", "From now on", ""),
            ("/alerts/channels", "No channels yet", "Make the first channel"),
            ("/access", "may sign in", "Add user"),
            (f"/access/{admin['id']}", "API tokens", ""),
            ("/audit", "session.open", ""),
            ("/account", "Change password", "Turn on"),
            ("/enrol", "Nobody waits", ""),
            ("/enrol/keys?new=1", "New enrolment key", ""),
            ("/enrol/deploy?new=1", "Deploy to 0 hosts", ""),
            ("/enrol/dials", "Nobody is dialled", ""),
            ("/enrol/bundles", "For another Python", ""),
            ("/settings", "How this center is set", ""),
            ("/components", "row-3", "One that asks"),
        ):
            await somebody.go(path)
            await expect(page.get_by_text(there).first).to_be_visible()
            await somebody.is_in()
            if opens:
                # What is behind a dialog is looked at with it, as long as it is not in another room.
                assert await somebody.findings() == [], path
                await page.get_by_role("button", name=opens).first.click()
                await expect(page.get_by_role("dialog")).to_be_visible()
            assert await somebody.shortcomings() == [], (path, opens)


async def test_everything_is_reached_by_keyboard(fleet: Fleet, browser: Browser) -> None:
    """The palette finds hosts, rooms and deeds; ten thousand rows are walked with few of them drawn."""
    await named_hosts(fleet, "web-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in()
        await somebody.is_in()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("web-0")
        await expect(page.get_by_role("option", name="web-01")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("web-01")
        await page.keyboard.press("g")
        await page.keyboard.press("c")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Commands")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("dark")
        await page.keyboard.press("Enter")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await somebody.go("/components")
        grid = page.get_by_role("grid", name="Rows")
        await grid.focus()
        await page.keyboard.press("End")
        await expect(page.get_by_text("row-9999")).to_be_visible()
        assert await grid.get_by_role("row").count() < 60


async def test_the_page_outlives_a_restart_of_the_center(fleet: Fleet, browser: Browser) -> None:
    """While the center is away, what is shown looks stale; it is live again without a new sign-in."""
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in("/hosts")
        await somebody.is_in()
        await fleet.center.stop()
        await expect(page.get_by_text("what you see may be old")).to_be_visible()
        await fleet.center.start()
        await somebody.is_in()
        await fleet.add_host("late")
        await expect(page.get_by_role("row")).to_have_count(2)


async def test_the_first_load_is_small(fleet: Fleet) -> None:
    """The page with all that it asks for at once is at most 120 KB as gzip; scripts are its own by policy."""
    url = f"http://127.0.0.1:{fleet.center.port}"
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        total = 0
        queue = ["/console/"]
        for path in queue:
            async with http.get(url + path, headers={"Accept-Encoding": "gzip"}) as answer:
                assert answer.status == 200, path
                assert "unsafe" not in answer.headers["Content-Security-Policy"]
                body = await answer.read()
                total += len(body)
                packed = answer.headers.get("Content-Encoding") == "gzip"
            if path == "/console/":
                text = (gzip.decompress(body) if packed else body).decode()
                queue += re.findall(r'(?:src|href)="(/console/[^"]+)"', text)
        assert len(queue) >= 4
        assert total <= FIRST_LOAD
