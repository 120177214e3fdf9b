"""Users, tokens, sessions, passwords, second factors and providers, on pipes."""

import json

import aiohttp

from outrider.testing.api import CODE, PASSWORD, FakeApi
from outrider.testing.api_access import RECOVERY_CODE
from tests.integration.cli.program import Program


async def test_users_are_added_edited_and_deleted(api: FakeApi, signed_in: Program) -> None:
    """A password that was made stands alone on stdout; names are guessed when they are mistyped."""
    added = await signed_in.run("users", "add", "ada", "--role", "operator")
    assert added.out == "made-by-the-center\n"
    assert "must be changed" in added.err
    own = await signed_in.run("users", "add", "bob", "--password-stdin", stdin=b"a password of bob\n")
    assert own.out == "Added bob (viewer).\n"
    assert "password due" in (await signed_in.run("users")).out
    assert (await signed_in.run("users", "edit", "ada", "--role", "admin", "--disable")).out == (
        "ada: admin, disabled.\n"
    )
    assert (await signed_in.run("users", "edit", "ada")).code == 2
    mistyped = await signed_in.run("users", "delete", "aad", "--yes")
    assert (mistyped.code, "Did you mean 'ada'?" in mistyped.err) == (5, True)
    assert (await signed_in.run("users", "delete", "ada", "--yes")).code == 0
    assert [user["username"] for user in api.access.users.values()] == ["admin", "bob"]
    assert (await signed_in.run("users", "reset-password", "bob", "--yes")).out == "made-by-the-center\n"
    refused = await signed_in.run("users", "add", "bob")
    assert refused.code == 6


async def test_a_token_stands_alone_on_stdout(api: FakeApi, signed_in: Program) -> None:
    """Made for a user with an end, listed without its text, revoked by id or all at once."""
    user = api.access.add_user("robot", "operator", "x" * 10)
    made = await signed_in.run("tokens", "new", "ci", "--user", "robot", "--ttl", "90d")
    assert (made.out.startswith("api-token-"), made.err) == (True, "")
    (token,) = api.access.tokens.values()
    assert token["user_id"] == user["id"]
    assert "ci" in (await signed_in.run("tokens", "--user", "robot")).out
    assert (await signed_in.run("tokens", "revoke", token["id"])).code == 0
    assert json.loads((await signed_in.run("tokens", "--json")).out) == []
    await signed_in.run("tokens", "new", "ci", "--user", "robot")
    assert (await signed_in.run("tokens", "revoke", "--all-of", "robot", "--yes")).code == 0
    assert not api.access.tokens
    assert (await signed_in.run("tokens", "new", "mine")).code == 4


async def test_sessions_are_listed_and_ended(api: FakeApi, signed_in: Program) -> None:
    """Ours is marked; --others ends the rest."""
    await Program(signed_in.config / "other").login(api)
    listed = json.loads((await signed_in.run("sessions", "--json")).out)
    assert sorted(session["current"] for session in listed) == [False, False, True]
    assert "this" in (await signed_in.run("sessions")).out
    assert (await signed_in.run("sessions", "end", "--others")).code == 0
    assert len(api.access.sessions) == 1
    assert (await signed_in.run("sessions", "end")).code == 2


async def test_a_given_out_password_is_changed_first(api: FakeApi, outrider: Program) -> None:
    """Signing in says so, other words are refused, and changing it opens them."""
    user = api.access.add_user("ada", "viewer", "given-out-by-admin")
    user["must_change_password"] = True
    entered = await outrider.run(
        "login", api.url, "-u", "ada", "--password-stdin", stdin=b"given-out-by-admin\n"
    )
    assert (entered.code, "outrider password" in entered.err) == (0, True)
    refused = await outrider.run("agents")
    assert refused.code == 4
    assert "outrider password" in refused.err
    changed = await outrider.run(
        "password", "--password-stdin", stdin=b"given-out-by-admin\nmy own password\n"
    )
    assert changed.out == "The password is changed.\n"
    assert (await outrider.run("agents")).code == 0


async def test_a_second_factor_is_given_with_an_option(api: FakeApi, outrider: Program) -> None:
    """Where nobody can be asked, the refusal names --code; a recovery code does as well."""
    api.access.admin["totp"] = True
    refused = await outrider.login(api)
    assert (refused.code, "--code" in refused.err) == (3, True)
    assert (await outrider.login(api, "--code", "000000")).code == 3
    assert (await outrider.login(api, "--code", CODE)).code == 0
    assert (await outrider.login(api, "--code", RECOVERY_CODE)).code == 0
    gone = await outrider.run("totp", "disable", "--password-stdin", stdin=f"{PASSWORD}\n".encode())
    assert gone.out == "The second factor is off.\n"
    assert api.access.admin["totp"] is False


async def test_a_provider_sends_the_browser_back_to_us(api: FakeApi, outrider: Program) -> None:
    """The address is shown; what comes back with our secret signs in, what comes without it does not."""
    api.access.providers.append({"name": "corp", "label": "Corporation"})
    unknown = await outrider.run("login", api.url, "--oidc", "crop")
    assert (unknown.code, "Did you mean corp?" in unknown.err) == (5, True)
    process = await outrider.start("login", api.url, "--oidc", "corp")
    assert process.stderr is not None
    address = ""
    while not address.startswith("http"):
        address = (await process.stderr.readline()).decode().strip()
    async with aiohttp.ClientSession() as browser:
        async with browser.get(address, allow_redirects=False) as sent_back:
            back = sent_back.headers["Location"]
        async with browser.get(back.partition("?")[0][:-5] + "wrong?code=x") as stranger:
            assert stranger.status == 404
        async with browser.get(back) as page:
            assert "You are signed in" in await page.text()
    out, _ = await process.communicate()
    assert (process.returncode, b"Signed in to" in out) == (0, True)
    assert (await outrider.run("agents")).code == 0


async def test_agents_that_wait_are_approved_together(api: FakeApi, signed_in: Program) -> None:
    """--all-pending means those that wait, and asks unless told not to."""
    for agent in api.agents.values():
        agent["status"] = "pending"
    assert (await signed_in.run("approve", "--all-pending")).code == 2
    approved = await signed_in.run("approve", "--all-pending", "--yes")
    assert approved.out.count("Approved") == 2
    none = await signed_in.run("decline", "--all-pending", "--yes")
    assert (none.code, "no agent waits" in none.err) == (0, True)
    assert (await signed_in.run("approve")).code == 2
