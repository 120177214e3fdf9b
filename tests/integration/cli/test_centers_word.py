"""Several saved centers; a center of another version, one that is slow, one with another certificate."""

import json
import ssl

import trustme

from outrider.client.trust import read_authorities
from outrider.testing.api import FakeApi
from tests.integration.cli.program import Program
from tests.integration.cli.terminal import terminal


async def test_saved_centers_are_listed_renamed_and_forgotten(api: FakeApi, outrider: Program) -> None:
    """The default is marked and can be moved; tokens are never shown."""
    async with FakeApi() as other:
        await outrider.login(api, "--center", "first")
        await outrider.login(other, "--center", "second")
    listed = (await outrider.run("centers")).out.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["first", api.url], ["second", "*"]]
    assert (await outrider.run("centers", "default", "first")).out == "first is asked from now on.\n"
    assert "web-01" in (await outrider.run("agents")).out
    assert (await outrider.run("centers", "rename", "first", "lab")).code == 0
    assert (await outrider.run("centers", "rename", "lab", "second")).code == 6
    assert "web-01" in (await outrider.run("agents", "--center", "lab")).out
    assert (await outrider.run("centers", "remove", "second")).code == 0
    facts = json.loads((await outrider.run("centers", "--json")).out)
    assert facts == [{"name": "lab", "default": True, "url": api.url, "username": "admin", "signed_in": True}]
    unknown = await outrider.run("centers", "remove", "lba")
    assert (unknown.code, "Did you mean lab?" in unknown.err) == (5, True)


async def test_a_center_of_another_version_is_told_of_once(api: FakeApi, signed_in: Program) -> None:
    """One line on stderr, with both versions; the work is done, and the next words are silent."""
    api.version = "7.3.0"
    first = await signed_in.run("agents")
    assert (first.code, first.err.count("\n")) == (0, 1)
    assert "is of version 7.3.0" in first.err
    assert (await signed_in.run("agents")).err == ""
    assert sum(request.path == "/api/session" for request in api.requests) == 1


async def test_the_client_states_its_version(api: FakeApi, signed_in: Program) -> None:
    """Each request names the program and its version."""
    await signed_in.run("agents")
    assert all(request.headers["User-Agent"].startswith("outrider/") for request in api.requests)


async def test_a_slow_center_is_waited_for_and_said_to_be_slow(api: FakeApi, signed_in: Program) -> None:
    """After a few seconds a line says what is waited for; the answer is taken when it comes."""
    await signed_in.run("agents")
    api.hold.clear()
    async with terminal(signed_in, "agents") as screen:
        await screen.see("has not answered for 3 s; waiting")
        api.hold.set()
        await screen.see("web-01")
        assert await screen.end() == 0


async def test_a_changed_certificate_is_refused(outrider: Program) -> None:
    """The token is not sent; both pins are shown, and what to do; exit code 8."""

    def served() -> tuple[ssl.SSLContext, str]:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        return context, authority.cert_pem.bytes().decode()

    context, pem = served()
    (pinned,) = read_authorities(pem)
    async with FakeApi(tls=context, authority=pem) as api:
        assert (await outrider.login(api, "--pin", pinned.pin)).code == 0
        url = api.url
        await api.stop()
        context, pem = served()
        (seen,) = read_authorities(pem)
        async with FakeApi(tls=context, authority=pem, port=int(url.rpartition(":")[2])) as impostor:
            refused = await outrider.run("agents")
            assert not [one for one in impostor.requests if "Authorization" in one.headers]
    assert (refused.code, refused.err.count("\n")) == (8, 1)
    for part in (pinned.pin, f"--pin {seen.pin}", "is not the center you signed in to"):
        assert part in refused.err
