"""Short forms of enrolment keys at the center: made, exchanged, refused, throttled, written down."""

import itertools
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from outrider.center.fleet.short_forms import TRIES, TRIES_EVERYWHERE
from outrider.center.store.schema import enrolment_keys
from outrider.domain.enrolment import EnrolmentKey
from outrider.domain.errors import Throttled, Unauthenticated
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Answer, Api
from tests.fixtures.center import own_center
from tests.fixtures.links import enrolment

_PATH = "/api/agents/exchange-key"
_NOBODYS = "00000000"


async def _make(api: Api, **wishes: Any) -> Any:
    return await api.post("/api/enrolment-keys", {"short": True, **wishes})


async def _exchange(api: Api, short: str) -> Answer:
    return await api.ask("POST", _PATH, {"short": short}, role=None)


async def test_a_short_form_is_exchanged_for_its_key(each_api: Api) -> None:
    """The very key, however the short form was typed; nothing may keep the answer, and nothing is used up."""
    made = await _make(each_api)
    assert len(made["short"]) == 8
    short = made["short"]
    for typed in (short, short.lower(), f" {short[:4]}-{short[4:]} "):
        answer = await _exchange(each_api, typed)
        assert (answer.status, answer.json) == (200, {"key": made["key"]})
        assert answer.headers["Cache-Control"] == "no-store"
    joined = await each_api.ask("POST", "/api/agents/enrol", enrolment(made["key"]), role=None)
    assert joined.status == 200
    assert (await _exchange(each_api, made["short"])).status == 401


async def test_a_key_has_none_unless_one_is_wanted(each_api: Api) -> None:
    """`short` is null then, and two such keys stand beside each other."""
    for _ in range(2):
        assert (await each_api.post("/api/enrolment-keys", {}))["short"] is None


async def test_it_lives_as_its_key_does(each_api: Api) -> None:
    """A key for several hosts is given out until the last of them has joined."""
    made = await _make(each_api, uses=2)
    for _ in range(2):
        key = (await _exchange(each_api, made["short"])).json["key"]
        assert (await each_api.ask("POST", "/api/agents/enrol", enrolment(key), role=None)).status == 200
    assert (await _exchange(each_api, made["short"])).status == 401


async def test_unknown_used_revoked_and_malformed_are_all_the_same(each_api: Api) -> None:
    """Whoever guesses learns nothing: one status, one code, one text."""
    used, revoked = await _make(each_api), await _make(each_api)
    await each_api.post("/api/agents/enrol", enrolment(used["key"]), role=None)
    await each_api.ask("DELETE", f"/api/enrolment-keys/{revoked['id']}")
    answers = [
        await _exchange(each_api, short)
        for short in (_NOBODYS, used["short"], revoked["short"], "nonsense", "", used["key"][:60])
    ]
    assert {(answer.status, answer.code) for answer in answers} == {(401, "unauthenticated")}
    assert len({answer.json["detail"] for answer in answers}) == 1


async def test_an_expired_one_is_the_same_as_an_unknown(tmp_path: Path) -> None:
    """It ends at the second at which its key does."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        made = await _make(own.api, ttl=60)
        assert (await _exchange(own.api, made["short"])).status == 200
        await clock.advance(60)
        expired, unknown = await _exchange(own.api, made["short"]), await _exchange(own.api, _NOBODYS)
        assert (expired.status, expired.json["detail"]) == (401, unknown.json["detail"])


async def test_the_database_holds_neither_the_short_form_nor_the_secret(tmp_path: Path) -> None:
    """A keyed hash and a sealed secret; they go when the key is revoked."""
    async with own_center(tmp_path) as own:
        made = await _make(own.api)
        store = own.center.store
        async with store.read() as conn:
            (row,) = (await conn.execute(sa.select(enrolment_keys))).all()
        secret = EnrolmentKey.parse(made["key"]).secret
        for value in row:
            kept = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
            assert made["short"].encode() not in kept
            assert secret.encode() not in kept
        listed = await own.api.get("/api/enrolment-keys")
        assert made["short"] not in str(listed)
        await own.api.ask("DELETE", f"/api/enrolment-keys/{made['id']}")
        async with store.read() as conn:
            (row,) = (await conn.execute(sa.select(enrolment_keys))).all()
        assert (row.short_hash, row.short_sealed) == (None, None)


async def test_exchanges_and_refusals_are_written_down(api: Api) -> None:
    """A host from an address, with which key; who tried in vain; never what was typed."""
    made = await _make(api)
    await _exchange(api, made["short"])
    (entry,) = (await api.get(f"/api/audit?action=enrolment_key.exchange&subject={made['id']}"))["entries"]
    assert (entry["actor"]["kind"], entry["actor"]["via"]) == ("agent", made["id"])
    assert entry["actor"]["address"].startswith("127.")
    await _exchange(api, _NOBODYS)
    refused = (await api.get("/api/audit?action=enrolment_key.refuse&limit=1000"))["entries"]
    assert [each for each in refused if each["actor"]["address"] == entry["actor"]["address"]]
    assert _NOBODYS not in str([each["data"] for each in refused])
    everything = await api.get("/api/audit?limit=1000")
    assert made["short"] not in str(everything)


async def test_an_address_gets_few_tries(api: Api) -> None:
    """After ten wrong ones it has to wait, with a right one too, and is told how long; a right one clears."""
    made = await _make(api)
    for _ in range(TRIES - 1):
        assert (await _exchange(api, _NOBODYS)).status == 401
    assert (await _exchange(api, made["short"])).status == 200
    for _ in range(TRIES):
        assert (await _exchange(api, _NOBODYS)).status == 401
    answer = await _exchange(api, made["short"])
    assert (answer.status, answer.code) == (429, "throttled")
    assert int(answer.headers["Retry-After"]) > 0
    elsewhere = aiohttp.TCPConnector(local_addr=("127.99.3.1", 0))
    async with aiohttp.ClientSession(connector=elsewhere) as session:
        assert (await _exchange(Api(session, api.url, {}), made["short"])).status == 200


async def test_all_addresses_together_get_a_bounded_number(tmp_path: Path) -> None:
    """Whoever has many addresses gets one try a second in the end, and no more of the audit log."""
    clock = TurnedClock()
    async with own_center(tmp_path, clock=clock) as own:
        forms = own.center.short_forms
        addresses = (f"198.51.{number // 250}.{number % 250}" for number in itertools.count())
        for _ in range(TRIES_EVERYWHERE):
            with pytest.raises(Unauthenticated):
                await forms.exchange(_NOBODYS, address=next(addresses))
        with pytest.raises(Throttled):
            await forms.exchange(_NOBODYS, address=next(addresses))
        await clock.advance(1)
        with pytest.raises(Unauthenticated):
            await forms.exchange(_NOBODYS, address=next(addresses))
        with pytest.raises(Throttled):
            await forms.exchange(_NOBODYS, address=next(addresses))
