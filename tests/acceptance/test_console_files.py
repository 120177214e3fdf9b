"""The console's files in a real browser, on the disk of a real host."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.acceptance.browsing import DESKTOP, PHONE, person
from tests.acceptance.fleet import Fleet

pytestmark = pytest.mark.timeout(180)
_HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "line\nend \u202egpj.exe",
    "x" * 240,
    "it's $(touch hacked) `x`; rm",
)
_NOT_TEXT = b"caf\xe9 \xff"
_MEGABYTE = 1024 * 1024
_LARGE = 96 * _MEGABYTE
_DROP = """(list) => {
  const given = new DataTransfer();
  for (const [name, text] of list) given.items.add(new File([text], name));
  return given;
}"""


async def drop(page: Page, *files: tuple[str, str]) -> None:
    """Let files fall on the folder that is shown."""
    given = await page.evaluate_handle(_DROP, [list(each) for each in files])
    await page.get_by_role("region", name="Files", exact=True).dispatch_event("drop", {"dataTransfer": given})


async def test_files_are_dropped_renamed_downloaded_and_deleted(
    fleet: Fleet, browser: Browser, tmp_path: Path
) -> None:
    """What is there is asked about before it is replaced; what goes is named; the address is the folder."""
    host = await fleet.add_host("web", label="web-01")
    folder = tmp_path / "shared files"
    folder.mkdir()
    (folder / "there.txt").write_text("old")
    (folder / ".hidden").write_text("")
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{host.agent_id}/files?path={folder}")
        await expect(page.get_by_role("gridcell", name="there.txt", exact=True)).to_be_visible()
        await expect(page.get_by_role("gridcell", name=".hidden", exact=True)).to_have_count(0)
        await drop(page, ("there.txt", "new"), ("fresh.txt", "fresh"))
        await expect(page.get_by_text("1 of 2 files is there already")).to_be_visible()
        await page.get_by_role("button", name="Replace 1 file").click()
        await expect(page.get_by_role("gridcell", name="fresh.txt", exact=True)).to_be_visible()
        assert [(folder / name).read_text() for name in ("there.txt", "fresh.txt")] == ["new", "fresh"]
        await page.get_by_role("gridcell", name="fresh.txt", exact=True).click()
        await expect(page.get_by_label("Content of the file")).to_have_text("fresh")
        await page.get_by_role("button", name="Close").last.click()
        await page.get_by_role("button", name="New folder").click()
        await page.get_by_role("textbox", name="Name").fill("a/b")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("no slash")
        await page.get_by_role("textbox", name="Name").fill("inner")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("gridcell", name="inner", exact=True)).to_be_visible()
        await page.get_by_label("Select fresh.txt").check()
        await page.get_by_role("grid").press("F2")
        await page.get_by_role("textbox", name="Name").fill("there.txt")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("is there already")
        await page.get_by_role("textbox", name="Name").fill("renamed.txt")
        await page.keyboard.press("Enter")
        await page.get_by_label("Select renamed.txt").check()
        async with page.expect_download() as coming:
            await page.get_by_role("button", name="Download").click()
        got = await coming.value
        assert got.suggested_filename == "renamed.txt"
        await got.save_as(tmp_path / "got.txt")
        assert (tmp_path / "got.txt").read_text() == "fresh"
        await page.get_by_label("Select inner").check()
        await page.get_by_role("grid").press("Delete")
        await expect(page.get_by_text("1 folder with all that is in it and 1 file")).to_be_visible()
        await page.get_by_role("button", name="Delete 2 entries").click()
        await expect(page.get_by_role("gridcell", name="renamed.txt", exact=True)).to_have_count(0)
        assert sorted(each.name for each in folder.iterdir()) == [".hidden", "there.txt"]
        await page.get_by_label("Hidden files").check()
        await expect(page.get_by_role("gridcell", name=".hidden", exact=True)).to_be_visible()
        assert "hidden=1" in page.url


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
async def test_hostile_names_are_only_shown(
    fleet: Fleet, browser: Browser, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    """Names run nothing, in the page or on the host, and widen nothing; each is deleted as what it is."""
    host = await fleet.add_host("web", label="web-01")
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in (*_HOSTILE, _NOT_TEXT.decode(errors="surrogateescape")):
        (folder / name).write_text("<script>window.hacked=1</script>")
    async with person(browser, fleet, scheme=scheme, size=size) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{host.agent_id}/files?path={folder}")
        await expect(page.get_by_role("row")).to_have_count(6)
        await somebody.is_in()
        assert await somebody.findings() == []
        await page.get_by_text("<img src=x").click()
        await expect(page.get_by_label("Content of the file")).to_contain_text("<script>")
        assert not await somebody.is_too_wide()
        await page.get_by_role("button", name="Close").last.click()
        await page.get_by_label("Select line").check()
        await page.get_by_role("grid").press("F2")
        await expect(page.get_by_role("textbox", name="Name")).to_have_value(re.compile("^line"))
        assert not await somebody.is_too_wide()
        await page.keyboard.press("Escape")
        await page.get_by_label("Select all").check()
        await page.get_by_role("button", name="Delete").click()
        assert not await somebody.is_too_wide()
        await page.get_by_role("button", name="Delete 5 entries").click()
        await expect(page.get_by_text("This folder is empty")).to_be_visible()
        assert await page.evaluate("() => window.hacked") is None
    assert list(folder.iterdir()) == []


async def test_a_large_file_is_not_held_by_the_page(fleet: Fleet, browser: Browser, tmp_path: Path) -> None:
    """It goes from disk to disk past the page."""
    host = await fleet.add_host("web", label="web-01")
    folder = tmp_path / "large"
    folder.mkdir()
    source = tmp_path / "dump.bin"
    with source.open("wb") as file:
        file.truncate(_LARGE)
    heap = "() => performance.memory.usedJSHeapSize"
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{host.agent_id}/files?path={folder}")
        await expect(page.get_by_text("This folder is empty")).to_be_visible()
        before = await page.evaluate(heap)
        await page.get_by_label("Files to upload").set_input_files(source)
        await expect(page.get_by_role("gridcell", name="dump.bin", exact=True)).to_be_visible()
        assert (folder / "dump.bin").stat().st_size == _LARGE
        await page.get_by_label("Select dump.bin").check()
        async with page.expect_download() as coming:
            await page.get_by_role("button", name="Download").click()
        await (await coming.value).save_as(tmp_path / "got.bin")
        assert (tmp_path / "got.bin").stat().st_size == _LARGE
        assert await page.evaluate(heap) - before < _LARGE / 4


async def test_folders_go_up_and_uploads_are_cut_and_cancelled(
    fleet: Fleet, browser: Browser, tmp_path: Path
) -> None:
    """With all that is in them; what was cut goes on by itself."""
    host = await fleet.add_host("web", label="web-01")
    folder, source = tmp_path / "there", tmp_path / "site"
    folder.mkdir()
    (source / "pages/empty").mkdir(parents=True)
    (source / "index.html").write_text("home")
    (source / "pages/a.html").write_text("a")
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(_LARGE)
    async with person(browser, fleet) as somebody:
        page = somebody.page
        await somebody.sign_in(f"/hosts/{host.agent_id}/files?path={folder}")
        await expect(page.get_by_text("This folder is empty")).to_be_visible()
        box = await page.get_by_role("region", name="Files", exact=True).bounding_box()
        assert box is not None
        small = tmp_path / "small.txt"
        small.write_text("small")
        await page.route(re.compile("/files$"), lambda route: route.abort("connectionreset"), times=1)
        await page.get_by_label("Files to upload").set_input_files(small)
        await expect(page.get_by_text("cut off; it begins anew")).to_be_visible()
        await expect(page.get_by_role("gridcell", name="small.txt", exact=True)).to_be_visible()
        assert (folder / "small.txt").read_text() == "small"
        (folder / "small.txt").unlink()
        await page.get_by_role("button", name="Clear the list").click()
        devtools = await page.context.new_cdp_session(page)
        given = {"items": [], "files": [str(source)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            at = {"type": kind, "x": box["x"] + 40, "y": box["y"] + 150, "data": given}
            await devtools.send("Input.dispatchDragEvent", at)
        await expect(page.get_by_role("gridcell", name="site", exact=True)).to_be_visible()
        uploads = page.get_by_label("Uploads", exact=True)
        await expect(uploads.get_by_text("site/pages/a.html")).to_be_visible()
        await page.get_by_label("Folder to upload").set_input_files(source)
        await expect(page.get_by_text("1 of 1 entry is there already")).to_be_visible()
        (source / "index.html").write_text("new home")
        await page.get_by_role("button", name="Replace 1 entry").click()
        await expect(uploads.locator(".ok")).to_have_count(4)
        assert (folder / "site/index.html").read_text() == "new home"
        assert (folder / "site/pages/a.html").read_text() == "a"
        assert (folder / "site/pages/empty").is_dir()
        await devtools.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2 * _MEGABYTE},
        )
        await page.get_by_label("Files to upload").set_input_files(large)
        await page.get_by_role("button", name="Cancel large.bin").click()
        await expect(page.get_by_text("cancelled; nothing is left of it")).to_be_visible()
        assert [each.name for each in folder.iterdir() if not each.name.startswith(".")] == ["site"]
        assert (await fleet.api.call("GET", f"/agents/{host.agent_id}/commands")) == []
