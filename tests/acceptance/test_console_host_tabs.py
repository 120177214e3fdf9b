"""What the console shows of a host beside its summary: processes, services, microservices, its agent."""

import asyncio
import os
import shutil
import sys

import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.browsing import named_hosts, person, user
from tests.acceptance.fleet import Fleet
from tests.fixtures.bare_host import BareHost
from tests.fixtures.systemctl import leading_to

pytestmark = pytest.mark.timeout(120)


_PARENT = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[2:]])"
_CHILD = ("-c", "import time; time.sleep(600)", "outrider-test-child")


async def test_a_process_is_found_and_ended(fleet: Fleet, browser: Browser) -> None:
    """A list, or a tree that keys walk; named before it is ended; looking leaves no trace."""
    ids = await named_hosts(fleet, "web-01")
    commands = f"/agents/{ids['web-01']}/commands"
    started = (_PARENT, "outrider-test-parent", *_CHILD)
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", *started)
    try:
        async with person(browser, fleet) as somebody:
            page = somebody.page
            await somebody.sign_in(f"/hosts/{ids['web-01']}/processes")
            await page.get_by_role("button", name="PID").click()
            await page.get_by_role("tab", name="Tree").click()
            tree = page.get_by_role("treegrid", name="Processes")
            await tree.focus()
            await page.keyboard.press("Home")
            root = tree.locator("[aria-level='1']").first
            await expect(root).to_have_attribute("aria-expanded", "true")
            await page.keyboard.press("ArrowLeft")
            await expect(root).to_have_attribute("aria-expanded", "false")
            await page.keyboard.press("ArrowRight")
            await expect(root).to_have_attribute("aria-expanded", "true")
            await page.get_by_label("Filter processes").fill("outrider-test-child")
            level = tree.get_by_role("row").filter(has=page.get_by_role("button", name=f"({parent.pid})"))
            await expect(level.last).to_have_attribute("aria-expanded", "true")
            child = tree.get_by_role("row").last
            await expect(child).not_to_have_attribute("aria-expanded", "true")
            above = int(await level.last.get_attribute("aria-level") or 0)
            await expect(child).to_have_attribute("aria-level", str(above + 1))
            await page.get_by_role("tab", name="List").click()
            await expect(page.get_by_role("row")).to_have_count(3)
            assert await fleet.api.call("GET", commands) == []
            await page.get_by_role("button", name=f"({parent.pid})").click()
            dialog = page.get_by_role("dialog")
            await expect(dialog).to_contain_text(str(parent.pid))
            await expect(dialog).to_contain_text("web-01")
            await page.get_by_role("button", name="Cancel").click()
            await page.get_by_role("button", name="End").last.click()
            await page.get_by_role("button", name="End the process").click()
            await expect(page.get_by_text("has ended")).to_be_visible()
            await expect(page.get_by_text("No process like that")).to_be_visible()
            await asyncio.wait_for(parent.wait(), 10)
            assert [each["type"] for each in await fleet.api.call("GET", commands)] == ["kill"]
    finally:
        if parent.returncode is None:
            parent.kill()
            await parent.wait()


_UNIT = """[Unit]
Description=A <b>test</b>
[Service]
ExecStart=/bin/sleep 600
[Install]
WantedBy=multi-user.target
"""
_SYSTEMCTL = os.path.realpath(shutil.which("systemctl") or "/usr/bin/systemctl")
_MOUNT = (
    'mount --bind "$0" "$1" && mount -t tmpfs none /run && mkdir -p /run/systemd/system && shift && exec "$@"'
)


async def test_services_are_looked_at_and_switched(
    fleet: Fleet, browser: Browser, systemd_host: BareHost
) -> None:
    """Those of a real systemd: seen as they change, enabled by name; looking leaves no trace."""
    await systemd_host.sh("cat > /etc/systemd/system/outrider-test.service", stdin=_UNIT)
    program = leading_to(systemd_host, fleet.folder / "systemd").program
    prefix = ["unshare", "--mount", "sh", "-c", _MOUNT, str(program), _SYSTEMCTL]
    host = await fleet.add_host("host", prefix=prefix)
    place, commands = f"/hosts/{host.agent_id}/services", f"/agents/{host.agent_id}/commands"
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(place)
        table = page.get_by_role("grid", name="Services")
        await expect(table.get_by_role("row").filter(has_text="systemd-journald")).to_contain_text("active")
        await page.get_by_label("Filter services").fill("outrider-test")
        row = table.get_by_role("row").last
        await expect(row).to_contain_text("inactive")
        assert await fleet.api.call("GET", commands) == []
        await table.focus()
        await page.keyboard.press("Home")
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("button", name="Start", exact=True)).to_be_visible()
        await dialog.get_by_role("button", name="Enable at boot").click()
        await expect(dialog).to_contain_text("It begins with the host from now on")
        await page.get_by_role("button", name="Enable at boot: outrider-test").click()
        await expect(page.get_by_text("outrider-test is enabled now")).to_be_visible()
        await systemd_host.sh("systemctl start outrider-test")
        await expect(row).to_contain_text("A <b>test</b>")
        await expect(row).to_contain_text("running")
        await expect(row).to_contain_text("enabled")
        assert [each["type"] for each in await fleet.api.call("GET", commands)] == ["service"]


async def test_a_microservice_is_configured_changed_and_deleted(fleet: Fleet, browser: Browser) -> None:
    """Broken JSON is pointed at; a change is shown before it is saved, and undone; others' are seen."""
    ids = await named_hosts(fleet, "edge-01")
    where = f"/agents/{ids['edge-01']}/microservices"
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{ids['edge-01']}/microservices")
        await page.get_by_role("button", name="Add a microservice").click()
        await page.get_by_label("Id", exact=True).fill("camera")
        text = page.get_by_label("Configuration")
        await text.fill('{"fps": 5')
        await expect(page.get_by_text("looks like JSON, but is none")).to_be_visible()
        await text.fill('{"fps": 5}')
        await expect(page.get_by_text("This is JSON")).to_be_visible()
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("button", name="camera")).to_have_attribute("aria-expanded", "true")
        await text.fill('{"fps": 9}')
        await page.get_by_role("button", name="What changes").click()
        await expect(page.get_by_role("region", name="What changes")).to_have_text(
            '- {"fps": 5}\n+ {"fps": 9}\n'
        )
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("button", name="Undo")).to_have_count(2)
        await page.get_by_role("button", name="Undo").last.click()
        await expect(text).to_have_value('{"fps": 5}')
        await fleet.api.call("PUT", f"{where}/camera/config", {"config": "somebody else's"})
        await expect(text).to_have_value("somebody else's")
        await page.get_by_role("button", name="Delete", exact=True).click()
        await page.get_by_role("button", name="Delete camera").click()
        await expect(page.get_by_text("No microservices yet")).to_be_visible()


async def test_a_host_is_declined_and_deleted_by_its_name(fleet: Fleet, browser: Browser) -> None:
    """What its agent is shows; deleting takes its name; a viewer is offered none of it."""
    ids = await named_hosts(fleet, "old-01")
    place = f"/hosts/{ids['old-01']}/agent"
    async with person(browser, fleet) as viewer:
        await viewer.sign_in(place, username=await user(fleet, "viewer"))
        await expect(viewer.page.get_by_text("Device id")).to_be_visible()
        await expect(viewer.page.get_by_role("button", name="Delete")).to_have_count(0)
        for tab in ("Processes", "Services", "Logs"):
            await expect(viewer.page.get_by_role("link", name=tab, exact=True)).to_have_count(0)
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(place)
        await expect(page.get_by_text("of all hosts in no group with a profile")).to_be_visible()
        await page.get_by_role("button", name="Delete").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Delete old-01").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("Type the host's name")
        await dialog.get_by_label("Type its name").fill("old-01")
        await dialog.get_by_role("button", name="Delete old-01").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Hosts")
        assert await fleet.api.call("GET", "/agents") == []


async def test_axe_finds_nothing_serious_in_a_hosts_tabs(fleet: Fleet, browser: Browser) -> None:
    """Each tab, in both themes, on a screen and on a phone; and nothing is wider than the phone."""
    ids = await named_hosts(fleet, "web-01")
    body = {"config": '{"fps": 5}'}
    await fleet.api.call("PUT", f"/agents/{ids['web-01']}/microservices/camera/config", body)
    async with person(browser, fleet) as somebody:
        await somebody.sign_in()
        await somebody.is_in()
        for tab, there in (
            ("processes?as=tree", "Pause"),
            ("services", "Services"),
            (f"logs?file={fleet.hosts[0].program.log}", "lines"),
            ("microservices?id=camera", "This is JSON"),
            ("agent", "Abilities"),
        ):
            await somebody.go(f"/hosts/{ids['web-01']}/{tab}")
            await expect(somebody.page.locator("main").get_by_text(there).first).to_be_visible()
            await somebody.is_in()
            assert await somebody.shortcomings() == [], tab
