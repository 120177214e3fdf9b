"""The console's rooms for users, tokens and sessions, one's own account, and signing in with a provider."""

import asyncio
import base64
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from outrider.domain.totp import code_at, step_at
from tests.acceptance.browsing import person
from tests.acceptance.fleet import PASSWORD, Fleet
from tests.fixtures.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, oidc_provider

OWN: Final = "a much better one"
pytestmark = pytest.mark.timeout(180)


async def told(page: Page) -> str:
    """Take what is shown once."""
    text = await page.get_by_role("dialog").locator("code").last.inner_text()
    await page.get_by_role("button", name="I have copied it").click()
    await expect(page.get_by_text(text)).to_have_count(0)
    return text


@asynccontextmanager
async def bare(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Give a browser that nobody has signed in with."""
    context = await browser.new_context()
    try:
        yield context
    finally:
        await context.close()


async def test_a_user_is_added_given_a_token_and_shown_out(fleet: Fleet, browser: Browser) -> None:
    """Password and token are shown once; what ends a session signs the other browser out at once."""
    async with person(browser, fleet) as boss, person(browser, fleet) as ada, person(browser, fleet) as third:
        page = boss.page
        await boss.sign_in("/access")
        await third.sign_in("/access")
        await expect(third.page.get_by_role("row")).to_have_count(2)
        await page.get_by_role("button", name="Add user").click()
        await page.get_by_role("dialog").get_by_label("Name").fill("ada")
        await page.get_by_role("dialog").get_by_role("button", name="Add user").click()
        password = await told(page)
        # Who looks at the same list sees it without a hand of theirs.
        await expect(third.page.get_by_role("link", name="ada")).to_be_visible()
        await ada.sign_in("/hosts", username="ada", password=password)
        await ada.page.get_by_label("New password").fill(OWN)
        await ada.page.get_by_label("Once more").fill(OWN)
        await ada.page.keyboard.press("Enter")
        await ada.is_in()
        await page.get_by_role("link", name="ada").click()
        await page.get_by_role("button", name="Make token").click()
        await page.get_by_label("Token name").fill("nightly")
        await page.get_by_role("dialog").get_by_role("button", name="Make token").click()
        token = await told(page)
        headers = {"Authorization": f"Bearer {token}"}
        asked = f"{boss.url}/api/session"
        async with bare(browser) as other:
            assert (await other.request.get(asked, headers=headers)).status == 200
            await page.get_by_role("button", name="Revoke the token nightly").click()
            await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
            await expect(page.get_by_text("None yet. A token lets")).to_be_visible()
            assert (await other.request.get(asked, headers=headers)).status == 401
        await page.get_by_role("button", name=re.compile("^End the session")).click()
        await expect(ada.page.get_by_text("Your session has ended")).to_be_visible()
        await page.get_by_label("Role", exact=True).select_option("viewer")
        await page.get_by_role("button", name="Change", exact=True).click()
        await expect(page.get_by_role("dialog")).to_contain_text("sessions and API tokens end")
        await page.get_by_role("dialog").get_by_role("button", name="Change role").click()
        await expect(page.get_by_text("ada is now viewer")).to_be_visible()
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete ada").click()
        await expect(third.page.get_by_role("link", name="ada")).to_have_count(0)
        await page.get_by_role("link", name="admin").click()
        await expect(page.get_by_text("last super admin who can sign in")).to_be_visible()
        await expect(
            page.get_by_role("button", name="Disable").or_(page.get_by_role("button", name="Delete"))
        ).to_have_count(0)


async def test_an_administrator_is_offered_nothing_above_them(fleet: Fleet, browser: Browser) -> None:
    """Roles up to their own, and no deed on a super admin; an operator finds no such room."""
    for name, role in (("otto", "admin"), ("olga", "operator")):
        await fleet.api.call("POST", "/users", {"username": name, "role": role, "password": PASSWORD})
    async with person(browser, fleet) as otto:
        await otto.sign_in("/access", username="otto")
        await otto.page.get_by_role("button", name="Add user").click()
        await expect(otto.page.get_by_label("Role").locator("option")).to_have_count(3)
        await otto.page.keyboard.press("Escape")
        await otto.page.get_by_role("link", name="admin").click()
        await expect(otto.page.get_by_text("Only a super admin can change this user")).to_be_visible()
        await expect(otto.page.locator("main").get_by_role("button")).to_have_count(0)
    async with person(browser, fleet) as olga:
        await olga.sign_in(username="olga")
        await olga.is_in()
        await expect(olga.page.get_by_role("link", name="Access")).to_have_count(0)


async def test_ones_own_account(fleet: Fleet, browser: Browser) -> None:
    """A second factor on and off, with recovery codes once; another password ends the other browser."""
    await fleet.api.call("POST", "/users", {"username": "ada", "role": "operator", "password": PASSWORD})
    async with person(browser, fleet) as ada, person(browser, fleet) as elsewhere:
        page = ada.page
        await ada.sign_in(username="ada")
        await page.get_by_role("button", name=re.compile("account")).click()
        await page.get_by_role("menuitem", name="Account").click()
        await page.get_by_role("button", name="Turn on").click()
        await page.get_by_label("Your password").fill("not this one")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("not your password")
        await page.get_by_label("Your password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("img", name="The secret as a QR code")).to_be_visible()
        secret = await page.get_by_role("dialog").locator("code").inner_text()
        code = code_at(base64.b32decode(secret), step_at(time.time()))
        await page.get_by_label("Code", exact=True).fill(code)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog", name="Recovery codes")).to_be_visible()
        recovery = (await told(page)).split()
        assert len(recovery) == 10
        await elsewhere.sign_in(username="ada")
        await elsewhere.page.get_by_label("Code").fill(recovery[0])
        await elsewhere.page.keyboard.press("Enter")
        await elsewhere.is_in()
        await page.get_by_role("button", name="Turn off").click()
        await page.get_by_label("Your password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Turn on")).to_be_visible()
        await page.get_by_label("Present password").fill(PASSWORD)
        await page.get_by_label("New password").fill(OWN)
        await page.get_by_label("Once more").fill(OWN)
        await page.keyboard.press("Enter")
        await expect(elsewhere.page.get_by_text("Your session has ended")).to_be_visible()
        await expect(page.get_by_text("this one")).to_be_visible()


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Give a provider."""
    with oidc_provider() as provider:
        yield provider


async def make_known(fleet: Fleet, provider: Provider) -> None:
    """Have the center know the provider."""
    await fleet.center.stop()
    fleet.center.program.settings |= {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_label": "Sign in with the house",
    }
    await fleet.center.start()


async def test_signing_in_with_a_provider(fleet: Fleet, browser: Browser, provider: Provider) -> None:
    """A refusal is told plainly; yes leads to where one wanted to go."""
    await make_known(fleet, provider)
    async with person(browser, fleet) as paula:
        page = paula.page
        await asyncio.to_thread(provider.set, deny=True)
        await paula.go("/hosts?target=status:offline")
        button = page.get_by_role("link", name="Sign in with the house")
        await button.click()
        await expect(page.get_by_role("alert")).to_contain_text(
            "The provider did not let you in: access_denied"
        )
        await asyncio.to_thread(provider.set, fault="garbage")
        await button.click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await asyncio.to_thread(provider.set)
        await button.click()
        await paula.is_in()
        await expect(page.get_by_label("Filter by target")).to_have_value("status:offline")
        assert page.url == f"{paula.url}/console/hosts?target=status%3Aoffline"
        await expect(page.get_by_role("button", name=re.compile("paula viewer"))).to_be_visible()
