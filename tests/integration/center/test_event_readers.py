"""Who is told what by the event log: what routes would refuse somebody is not told them either."""

from pathlib import Path

import msgspec

from tests.fixtures.center import OwnCenter, own_center


async def _read(own: OwnCenter, role: str) -> list[tuple[str, str]]:
    """Read the log from its beginning as somebody of this role: kinds with their subjects."""
    async with own.api.events("/api/events?after=0", role=role) as events:
        said = [msgspec.json.decode(each.data) for each in await events.until("group.made")]
    return [(each["kind"], each["subject"]) for each in said]


async def test_events_of_people_are_theirs_and_administrators(tmp_path: Path) -> None:
    """Sessions, tokens and users: an administrator reads of all, a viewer of nobody else."""
    async with own_center(tmp_path) as own:
        body = {"username": "ada", "role": "operator", "password": "a fine long password"}
        ada = (await own.api.post("/api/users", body))["id"]
        made = await own.api.post("/api/tokens", {"name": "ci", "user_id": ada})
        await own.api.ask("DELETE", f"/api/tokens/{made['id']}")
        login = {"username": "ada", "password": "a fine long password"}
        token = (await own.api.post("/api/login", login, role=None))["token"]
        headers = {"Authorization": f"Bearer {token}"}
        await own.api.ask("POST", "/api/logout", role=None, headers=headers)
        await own.api.post("/api/groups", {"name": "last"})
        told = [kind for kind, subject in await _read(own, "admin") if subject == ada]
        assert told == ["user.added", "token.made", "token.revoked", "session.opened", "session.ended"]
        viewer = (await own.api.get("/api/session", role="viewer"))["user"]["id"]
        people = ("user.", "session.", "token.")
        read = await _read(own, "viewer")
        assert {subject for kind, subject in read if kind.startswith(people)} == {viewer}
        assert "group.made" in dict(read)
