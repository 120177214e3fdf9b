"""Notices on their way: to real receivers, through failures, restarts and a center that is killed."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from outrider.center.alerts.carriage import Carriage
from outrider.center.alerts.carrier import Task, scrub
from outrider.center.store.schema import alert_channels, audit
from outrider.domain.actors import CENTER
from outrider.domain.alerts.rules import Condition, ConditionKind, Severity
from outrider.testing.clock import TurnedClock
from tests.fixtures.api import Api
from tests.fixtures.center import OwnCenter, center_process, open_api, own_center
from tests.fixtures.receivers import hooks, mail
from tests.fixtures.resources import Kept
from tests.integration.center.alerting import (
    LONG_UP,
    START,
    come_back,
    go_away,
    make_rule,
    notices,
    pass_time,
    store_hosts,
    write,
)

_AWAY = {"kind": "offline", "for_s": 0}
_REFUSE = "CREATE TRIGGER refuse BEFORE UPDATE ON deliveries BEGIN SELECT RAISE(ABORT, 'no room'); END"


async def _channel(api: Api, url: str, name: str = "ops") -> str:
    made = await api.post("/api/alert-channels", {"name": name, "url": url})
    return str(made["id"])


async def _send(own: OwnCenter) -> None:
    """Let the sender have its turn, and wait for what it does: it may be at it by itself already."""
    work = await own.center.alerts.sending.look()
    if work:
        await asyncio.wait(work)


async def _sent(own: OwnCenter) -> list[tuple[str, int, str]]:
    """Say what became of the newest notice: each delivery's state, tries and error."""
    found = (await notices(own))[-1]["deliveries"]
    return [(each["state"], each["tries"], each["error"]) for each in found]


async def _outage(own: OwnCenter, clock: TurnedClock, channels: list[str]) -> list[Any]:
    """Let two hosts go away, of which a notice is written."""
    hosts = await store_hosts(own, 2)
    await make_rule(own, _AWAY, name="away", channels=channels)
    await pass_time(own, clock, LONG_UP, step=20)
    await go_away(own, hosts)
    await pass_time(own, clock, 60)
    return hosts


async def test_a_notice_reaches_mail_and_web_hooks(tmp_path: Path) -> None:
    """Each channel of the rule gets it once, with its id; the recovery, too; the history says so."""
    clock = TurnedClock(time=START)
    async with hooks() as hooked, mail() as mailed, own_center(tmp_path, clock=clock) as own:
        channels = [await _channel(own.api, hooked.url), await _channel(own.api, mailed.url, "mail")]
        hosts = await _outage(own, clock, channels)
        await _send(own)
        assert [state for state, _, _ in await _sent(own)] == ["sent", "sent"]
        (notice,) = await notices(own)
        assert hooked.titles == ["[FIRING] away: 2 hosts"]
        assert hooked.bodies[0]["type"] == "warning"
        assert notice["id"] in hooked.bodies[0]["message"]
        (message,) = mailed.messages
        assert message["Subject"] == "[FIRING] away: 2 hosts"
        assert notice["id"] in message.get_content()
        await come_back(own, hosts)
        await pass_time(own, clock, 120)
        await _send(own)
        assert hooked.titles[1:] == ["[RESOLVED] away: 2 hosts"]
        assert len(mailed.messages) == 2


async def test_a_channel_that_fails_is_tried_until_it_works(tmp_path: Path) -> None:
    """After a while, and after a restart; the history says how often and what went wrong, not the secret."""
    clock = TurnedClock(time=START)
    async with hooks() as hooked:
        async with own_center(tmp_path, clock=clock) as own:
            hooked.answer = 503
            await _outage(own, clock, [await _channel(own.api, hooked.url)])
            await _send(own)
            ((state, tries, error),) = await _sent(own)
            assert (state, tries) == ("waiting", 1)
            assert "503" in error
            assert "s3cret" not in error
            await _send(own)
            assert len(hooked.bodies) == 1
            clock.jump(11)
            await _send(own)
            assert [tries for _, tries, _ in await _sent(own)] == [2]
        hooked.answer = 200
        async with own_center(tmp_path, clock=clock) as own:
            await _send(own)
            assert [each[:2] for each in await _sent(own)] == [("sent", 3)]
            clock.jump(3600)
            await _send(own)
            assert len({body["message"] for body in hooked.bodies}) == 1
            assert len(hooked.bodies) == 3


async def test_sending_is_given_up_in_time(tmp_path: Path) -> None:
    """After hours it is in the history that nobody was told; a channel that is gone is not waited for."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock) as own:
        channel = await _channel(own.api, "json://127.0.0.1:1/nobody-listens")
        await _outage(own, clock, [channel])
        await _send(own)
        clock.jump(5 * 3600)
        await _send(own)
        ((state, tries, error),) = await _sent(own)
        assert (state, tries) == ("given_up", 2)
        assert "nobody-listens" not in error
        await make_rule(own, _AWAY, name="other", channels=[channel])
        await pass_time(own, clock, 60)
        for rule in await own.api.get("/api/alert-rules"):
            await own.api.ask("PATCH", f"/api/alert-rules/{rule['id']}", {"channels": []})
        assert (await own.api.ask("DELETE", f"/api/alert-channels/{channel}")).status == 200
        await _send(own)
        assert await _sent(own) == [("given_up", 1, "The channel was deleted.")]


async def test_a_channel_is_tried_and_keeps_its_secret(tmp_path: Path) -> None:
    """A test is really sent and in the history; no answer, audit entry or column has the address."""
    async with hooks() as hooked, own_center(tmp_path) as own:
        channel = await _channel(own.api, hooked.url)
        path = f"/api/alert-channels/{channel}"
        tested = await own.api.post(f"{path}/test")
        assert (tested["sent"], hooked.titles) == (True, ["[TEST] ops"])
        hooked.answer = 404
        tested = await own.api.post(f"{path}/test")
        assert not tested["sent"]
        assert "404" in tested["error"]
        assert [each["kind"] for each in await notices(own)] == ["test", "test"]
        changed = await own.api.ask("PATCH", path, {"url": hooked.url.replace("s3cret", "s4cret")})
        assert changed.json["kind"] == "json"
        shown = [tested, changed.json, await own.api.get("/api/alert-channels"), await notices(own)]
        async with own.center.store.read() as conn:
            shown += [list(await conn.execute(sa.select(table))) for table in (audit, alert_channels)]
        assert "cret-token" not in repr(shown)


@pytest.mark.parametrize(
    "url", ["nonsense", "nosuch://here", "gnome://", "syslog://", "file:///etc/passwd", "json://"]
)
async def test_an_address_that_tells_nobody_is_refused(api: Api, url: str) -> None:
    """What apprise can't read, or would do on the center's own machine, is no channel."""
    answer = await api.ask("POST", "/api/alert-channels", {"name": "x", "url": url})
    assert (answer.status, answer.code, answer.json["fields"]["field"]) == (400, "invalid", "url")


async def test_an_address_is_one_address() -> None:
    """Apprise takes a text with several apart; a second one would pass by what is checked."""
    async with hooks() as first, hooks() as second:
        outcome = await Carriage().carry(Task(url=f"{first.url},{second.url}", title="t", body="b"))
        assert "404" in outcome.error
        assert second.bodies == []


async def test_channels_that_do_not_answer_hold_up_no_other(tmp_path: Path) -> None:
    """Each has several notices waiting: one that works is told meanwhile, and another can be tried out."""
    clock = TurnedClock(time=START)
    async with hooks() as stuck, hooks() as works, own_center(tmp_path, clock=clock) as own:
        stuck.hold.clear()
        dead = [
            await _channel(own.api, f"{stuck.url}-{number}?rto=60", f"dead {number}") for number in range(2)
        ]
        for number in range(3):
            await make_rule(own, _AWAY, name=f"dead {number}", channels=dead)
        await _outage(own, clock, dead)
        sending = own.center.alerts.sending
        assert len(await sending.look()) == len(dead)
        await stuck.until(len(dead))
        channel = await _channel(own.api, works.url, "works")
        await make_rule(own, _AWAY, name="works", channels=[channel])
        await pass_time(own, clock, 60)
        _ = await sending.look()
        await works.until(1)
        tested = await own.api.post(f"/api/alert-channels/{channel}/test")
        assert tested["sent"]
        assert len(stuck.bodies) == len(dead)
        stuck.hold.set()


async def test_what_was_sent_is_not_sent_again_because_it_can_not_be_written(tmp_path: Path) -> None:
    """A center whose disk is full tells once, and notes that it did when it can."""
    clock = TurnedClock(time=START)
    async with hooks() as hooked, own_center(tmp_path, clock=clock) as own:
        await write(own, sa.text(_REFUSE))
        await _outage(own, clock, [await _channel(own.api, hooked.url)])
        for _ in range(3):
            clock.jump(30)
            await _send(own)
        assert [state for state, _, _ in await _sent(own)] == ["waiting"]
        await write(own, sa.text("DROP TRIGGER refuse"))
        clock.jump(30)
        await _send(own)
        assert [each[:2] for each in await _sent(own)] == [("sent", 1)]
        assert len(hooked.bodies) == 1


async def test_a_child_outlives_its_center_by_its_time_alone() -> None:
    """Nobody is there to end the child of a center that was killed: it ends by itself."""
    async with hooks() as hooked:
        hooked.hold.clear()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "outrider.center.alerts.carrier", stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        task = Task(url=hooked.url + "?rto=60", title="t", body="b", seconds=3.0)
        told, _ = await child.communicate(msgspec.json.encode(task))
        hooked.hold.set()
    assert (child.returncode, told) == (-signal.SIGALRM, b"")


async def test_a_receiver_that_never_answers_costs_a_bounded_time() -> None:
    """The child is ended, and none is left behind."""
    async with hooks() as hooked:
        hooked.hold.clear()
        carriage = Carriage(patience=3.0)
        outcome = await carriage.carry(Task(url=hooked.url + "?rto=60", title="t", body="b"))
        hooked.hold.set()
    assert outcome.error == "It took longer than 3 s."


def test_what_is_told_of_a_failure_has_nothing_of_the_address() -> None:
    """Every part that could be a token is blanked, the scheme and short words are not."""
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general?to=a%40b"
    said = scrub("slack: POST to TIiajkdnlazkcOXrIdevi7FQ of T1JJ3T3L2 #general failed: 404", url)
    assert said == "slack: POST to *** of *** #*** failed: 404"
    said = scrub("user:p@ss/word was refused by t0kens", "json://user:p%40ss%2Fword@host.example/t%30kens")
    assert said == "***:*** was refused by ***"


async def _write_notice(home: Path, url: str) -> None:
    """Leave a center's data with a notice that waits to be sent."""
    clock = TurnedClock(time=START)
    async with own_center(home, clock=clock, users=False) as own:
        service = own.center.alerts.service
        channel = await service.make_channel(name="ops", url=url, by=CENTER)
        _ = await service.make_rule(
            name="away",
            when=Condition(kind=ConditionKind.OFFLINE, for_s=0),
            target="all",
            severity=Severity.WARNING,
            channels=[channel.id],
            repeat_s=None,
            enabled=True,
            by=CENTER,
        )
        hosts = await store_hosts(own, 2)
        await pass_time(own, clock, LONG_UP, step=20)
        await go_away(own, hosts)
        await pass_time(own, clock, 60)


@pytest.mark.slow
async def test_a_center_that_is_killed_while_it_sends(tmp_path: Path, kept: Kept) -> None:
    """Killed while the receiver has the notice and has not answered: it comes again, with the same id."""
    home = tmp_path / "home"
    async with hooks() as hooked:
        await _write_notice(home, hooked.url)
        hooked.hold.clear()
        opened = center_process(home, kept)
        running = await asyncio.to_thread(opened.__enter__)
        await hooked.until(1)
        os.kill(running.pid, signal.SIGKILL)
        await asyncio.to_thread(opened.__exit__, None, None, None)
        hooked.hold.set()
        again = center_process(home, kept)
        running = await asyncio.to_thread(again.__enter__)
        await hooked.until(2)
        async with open_api(running.url, running.tokens) as api:
            while (found := await api.get("/api/alert-notices"))[0]["deliveries"][0]["state"] != "sent":
                pass
        await asyncio.to_thread(again.__exit__, None, None, None)
        (notice,) = found
        assert all(notice["id"] in body["message"] for body in hooked.bodies)
