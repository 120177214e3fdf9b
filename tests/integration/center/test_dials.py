"""Dials at the center: what people type, and what is kept of it."""

import secrets
from typing import Any

import pytest

from tests.fixtures.api import Api


def _place() -> str:
    return f"{secrets.token_hex(8)}.invalid:3850"


async def _mine(api: Api, dial_id: str) -> Any:
    return next((each for each in await api.get("/api/dials") if each["id"] == dial_id), None)


async def test_a_dial_from_adding_to_removing(each_api: Api) -> None:
    """Added once however often it is said, moved, listed, removed; it says why nobody is reached."""
    api, place, elsewhere = each_api, _place(), _place()
    added = await api.ask("POST", "/api/dials", {"address": place})
    assert added.status == 201
    dial = added.json
    assert (dial["address"], dial["agent_id"], dial["state"]) == (place, None, "dialling")
    again = await api.post("/api/dials", {"address": place.upper().replace("INVALID", "invalid")})
    assert again["id"] == dial["id"]
    moved = await api.ask("PATCH", f"/api/dials/{dial['id']}", {"address": elsewhere})
    assert (moved.json["id"], moved.json["address"]) == (dial["id"], elsewhere)
    other = await api.post("/api/dials", {"address": place})
    assert (await api.ask("PATCH", f"/api/dials/{dial['id']}", {"address": place})).status == 409
    shown = await _mine(api, dial["id"])
    assert shown["address"] == elsewhere
    for each in (dial, other):
        assert (await api.ask("DELETE", f"/api/dials/{each['id']}")).json == {"status": "removed"}
        assert await _mine(api, each["id"]) is None
        assert (await api.ask("GET", f"/api/dials/{each['id']}")).status == 404
        assert (await api.ask("DELETE", f"/api/dials/{each['id']}")).status == 404
        assert (await api.ask("PATCH", f"/api/dials/{each['id']}", {"address": _place()})).status == 404


@pytest.mark.parametrize(
    "address",
    ["", "web-1", "web-1:", "web-1:0", "web-1:99999", "https://web-1:1", "a b:1x", "x" * 400, "::1"],
)
async def test_what_is_no_address_is_refused(api: Api, address: str) -> None:
    """With the field, and nothing is kept."""
    answer = await api.ask("POST", "/api/dials", {"address": address})
    assert answer.status == 400, answer


async def test_an_ipv6_address_has_one_form(api: Api) -> None:
    """In brackets, as it is typed elsewhere."""
    dial = await api.post("/api/dials", {"address": "[2001:DB8::1]:3850"})
    assert dial["address"] == "[2001:db8::1]:3850"
    await api.ask("DELETE", f"/api/dials/{dial['id']}")
