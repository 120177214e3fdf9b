"""The role that a command type takes is asked of whoever sends it, in whatever way."""

from typing import Any

from outrider.domain.command_types import REGISTRY
from outrider.domain.roles import Role
from tests.fixtures.api import Api
from tests.fixtures.links import enrol
from tests.integration.center.dispatching import hosts

_REBOOT: dict[str, Any] = {"type": "reboot", "params": {}}


async def test_only_an_admin_reboots_a_host(api: Api) -> None:
    """An operator may run any other of these types, but not this one."""
    agent = await enrol(api)
    path = f"/api/agents/{agent.id}/commands"
    refused = await api.ask("POST", path, _REBOOT, role="operator")
    assert (refused.status, refused.code) == (403, "forbidden")
    assert "admin" in refused.json["detail"]
    assert await api.get(path, role="operator") == []
    assert (await api.ask("POST", path, {"type": "processes", "params": {}}, role="operator")).status == 200
    assert (await api.ask("POST", path, _REBOOT, role="admin")).status == 200


async def test_nor_by_a_dispatch(api: Api) -> None:
    """Neither a new one, nor an admin's once more."""
    async with hosts(api, 0, away=1) as fleet:
        refused = await api.ask("POST", "/api/dispatches", fleet.body(**_REBOOT), role="operator")
        assert (refused.status, refused.code) == (403, "forbidden")
        made = await api.post("/api/dispatches", fleet.body(**_REBOOT), role="admin")
        await api.post(f"/api/dispatches/{made['id']}/cancel", role="admin")
        again = {"states": ["cancelled"]}
        refused = await api.ask("POST", f"/api/dispatches/{made['id']}/retry", again, role="operator")
        assert (refused.status, refused.code) == (403, "forbidden")
        retried = await api.ask("POST", f"/api/dispatches/{made['id']}/retry", again, role="admin")
        assert retried.status in (200, 201)
        await api.post(f"/api/dispatches/{retried.json['id']}/cancel", role="admin")


async def test_nor_by_a_schedule(api: Api) -> None:
    """An operator makes none, turns none into one, and fires an admin's in vain."""
    async with hosts(api, 0, away=1) as fleet:
        body = {"name": "nightly", "when": {"every": 86_400}, "dispatch": fleet.body(**_REBOOT)}
        refused = await api.ask("POST", "/api/schedules", body, role="operator")
        assert (refused.status, refused.code) == (403, "forbidden")
        harmless = {**body, "dispatch": fleet.body()}
        own = await api.post("/api/schedules", harmless, role="operator")
        change = {"dispatch": fleet.body(**_REBOOT)}
        refused = await api.ask("PATCH", f"/api/schedules/{own['id']}", change, role="operator")
        assert (refused.status, refused.code) == (403, "forbidden")
        schedule = await api.post("/api/schedules", body, role="admin")
        fired = await api.post(f"/api/schedules/{schedule['id']}/fire", role="operator")
        assert (fired["state"], fired["error_code"], fired["dispatch_id"]) == ("failed", "forbidden", None)
        fired = await api.post(f"/api/schedules/{schedule['id']}/fire", role="admin")
        assert fired["state"] == "fired"
        await api.post(f"/api/dispatches/{fired['dispatch_id']}/cancel", role="admin")
        for each in (own, schedule):
            await api.ask("DELETE", f"/api/schedules/{each['id']}", role="admin")


async def test_the_types_are_described(api: Api) -> None:
    """Each with its role and the schema of its parameters, as they are checked."""
    listed = {each["type"]: each for each in await api.get("/api/agents/command-types", role="viewer")}
    assert set(listed) == set(REGISTRY)
    assert {name for name, each in listed.items() if each["role"] == Role.ADMIN} == {"reboot", "update_agent"}
    kinds = listed["service"]["params"]["$defs"]["ServiceParams"]["properties"]
    assert kinds["action"]["enum"] == ["disable", "enable", "restart", "start", "status", "stop"]
