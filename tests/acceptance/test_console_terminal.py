"""The console's terminal in a real browser, on a shell of a real host."""

import os
import pwd
import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.acceptance.browsing import person
from tests.acceptance.fleet import Fleet
from tests.fixtures.terminals import PLAIN_HOME

pytestmark = pytest.mark.timeout(180)
# A title, a link, markup, a colour of its own, a direction mark, and a very long line.
_HOSTILE = (
    r"printf '\033]0;<b>title\007\033]8;;javascript:window.hacked=1\007link\033]8;;\007"
    r"<img src=x onerror=window.hacked=1>\342\200\256abc\n'; "
    r"head -c 20000 /dev/zero | tr '\0' y; printf '\n\033[38;2;90;250;90;48;2;90;90;90mhos''tile\033[0m\n'"
)


async def typed(page: Page, line: str) -> None:
    """Type a line into the terminal that is shown."""
    await page.get_by_label("Terminal input").focus()
    await page.keyboard.insert_text(line)
    await page.keyboard.press("Enter")


async def test_a_terminal_outlives_the_center_a_reload_and_other_rooms(
    fleet: Fleet, browser: Browser
) -> None:
    """The same shell, with what it said in between; then it is ended, and that it is over is said."""
    host = await fleet.add_host("web", prefix=PLAIN_HOME, label="web-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{host.agent_id}/terminal")
        await page.get_by_role("button", name="Open a terminal").click()
        await expect(page).to_have_url(re.compile(r"\?terminal=term_"))
        screen = page.locator(".xterm-rows")
        await typed(page, "mine=$$; echo begun-$((40 + 2))")
        await expect(screen).to_contain_text("begun-42")
        await typed(page, f"(while [ ! -e {fleet.folder}/go ]; do sleep 0.1; done; echo mean''while) &")
        await fleet.center.stop()
        await expect(page.get_by_text("The shell lives on for a minute")).to_be_visible()
        (fleet.folder / "go").touch()
        await fleet.center.start()
        await expect(screen).to_contain_text("meanwhile")
        await somebody.is_in()
        await page.get_by_role("link", name="Summary").click()
        await page.go_back()
        await typed(page, '[ "$mine" = $$ ] && echo sa""me')
        await expect(screen).to_contain_text("same")
        await page.reload()
        await expect(screen).to_contain_text("same")
        await page.get_by_role("button", name="New terminal").click()
        await expect(page.get_by_label("Terminals on this host").get_by_role("link")).to_have_count(2)
        await typed(page, "exit 7")
        await expect(page.get_by_text("with exit code 7")).to_be_visible()
        await page.get_by_role("button", name="Close").click()
        await page.get_by_role("button", name="End", exact=True).click()
        await page.get_by_role("button", name="End the terminal").click()
        await expect(page.get_by_text("No terminal is open here")).to_be_visible()


async def test_a_hostile_terminal_is_only_shown(fleet: Fleet, browser: Browser) -> None:
    """No escape sequence runs script, opens a link or widens the page; keys lead out; axe finds nothing."""
    host = await fleet.add_host("web", prefix=PLAIN_HOME, label="web-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{host.agent_id}/terminal")
        await page.get_by_role("button", name="Open a terminal").click()
        await expect(page).to_have_url(re.compile(r"\?terminal=term_"))
        await expect(page).to_have_title("web-01 · Outrider")
        await typed(page, f"stty cols 1000; {_HOSTILE}")
        await expect(page.locator(".xterm-rows")).to_contain_text("hostile")
        painted = page.locator(".xterm-rows span", has_text="hostile").last
        await expect(painted).to_have_css("background-color", "rgb(90, 90, 90)")
        assert await page.evaluate("() => window.hacked") is None
        await expect(page).to_have_title("web-01 · Outrider")
        assert await somebody.shortcomings() == []
        await page.get_by_label("Terminal input").press("Control+Shift+ArrowUp")
        await expect(page.get_by_label("Terminals on this host").get_by_role("link")).to_be_focused()


async def test_a_terminal_as_a_user_is_recorded_brought_over_and_flooded(
    fleet: Fleet, browser: Browser
) -> None:
    """A wrong user is refused in words, one window has it, and a flood leaves the page its keys."""
    fleet.center.program.settings["terminal_recording"] = "output"
    await fleet.center.stop()
    await fleet.center.start()
    host = await fleet.add_host("web", prefix=PLAIN_HOME, label="web-01")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{host.agent_id}/terminal")
        for name in ("no-such-user", pwd.getpwuid(os.geteuid()).pw_name):
            await page.get_by_role("button", name="As user…").click()
            await page.get_by_label("User on the host").fill(name)
            await page.keyboard.press("Enter")
            if name == "no-such-user":
                await expect(page.get_by_text("not have this user")).to_be_visible()
        await expect(page).to_have_url(re.compile(r"\?terminal=term_"))
        await expect(page.get_by_text("This terminal is recorded")).to_be_visible()
        other = await somebody.context.new_page()
        await other.goto(page.url)
        await expect(other.get_by_text("This terminal is recorded")).to_be_visible()
        await expect(page.get_by_text("shown in another window now")).to_be_visible()
        await page.get_by_role("button", name="Bring it here").click()
        await expect(other.get_by_text("shown in another window now")).to_be_visible()
        await other.close()
        await typed(page, "yes flo''od")
        screen = page.locator(".xterm-rows")
        await expect(screen).to_contain_text("flood")
        await page.get_by_label("Terminal input").press("Control+Shift+ArrowUp")
        await expect(page.get_by_label("Terminals on this host").get_by_role("link")).to_be_focused()
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.get_by_label("Terminal input").press("Control+c")
        await typed(page, "echo over-$((40 + 2))")
        await expect(screen).to_contain_text("over-42")
