"""Alerts at the center without a center: nothing fires by itself, a test says what does."""

import itertools
from typing import Any, Final, TypeAlias

import msgspec
from aiohttp import web

from outrider.domain.alerts.rules import Condition, Severity, check
from outrider.domain.errors import Conflict, Invalid, NotFound
from outrider.domain.targets.parser import parse
from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]
_FIRING: Final = ("firing", "clearing")


class FakeAlerts:
    """Rules, channels, silences; alerts and notices are put there by tests."""

    def __init__(self) -> None:
        self.rules: dict[str, Json] = {}
        self.channels: dict[str, Json] = {}
        self.silences: dict[str, Json] = {}
        self.alerts: list[Json] = []
        self.notices: list[Json] = []
        #: What the next test of a channel goes wrong with; empty: it goes well.
        self.test_error = ""
        self._numbers = itertools.count(1)

    def fire(self, rule: Json, agent: Json, *, state: str = "firing") -> Json:
        """Let a rule fire for an agent."""
        alert: Json = {
            "id": f"alert_{next(self._numbers):020d}",
            "rule_id": rule["id"],
            "rule": rule["name"],
            "severity": rule["severity"],
            "state": state,
            "subject": agent["id"],
            "agent_id": agent["id"],
            "name": agent["label"],
            "since": NOW - 600,
            "fired": NOW - 300,
            "resolved": NOW if state == "resolved" else None,
            "value": None,
            "count": 1,
            "reason": "",
            "acknowledged": None,
            "acknowledged_by": None,
        }
        self.alerts.insert(0, alert)
        return alert

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        rule, channel = "/api/alert-rules/{id}", "/api/alert-channels/{id}"
        return [
            web.get("/api/alerts", self._list_alerts),
            web.post("/api/alerts/acknowledge", self._acknowledge),
            web.get("/api/alert-notices", self._list_notices),
            web.get("/api/alert-rules", self._list_rules),
            web.post("/api/alert-rules", self._new_rule),
            web.get(rule, self._show_rule),
            web.patch(rule, self._edit_rule),
            web.delete(rule, self._delete_rule),
            web.get("/api/alert-channels", self._list_channels),
            web.post("/api/alert-channels", self._new_channel),
            web.patch(channel, self._edit_channel),
            web.delete(channel, self._delete_channel),
            web.post(channel + "/test", self._test_channel),
            web.get("/api/silences", self._list_silences),
            web.post("/api/silences", self._new_silence),
            web.delete("/api/silences/{id}", self._end_silence),
        ]

    async def _list_alerts(self, request: web.Request) -> web.Response:
        states = request.query.getall("state", _FIRING)
        found = [
            alert
            for alert in self.alerts
            if alert["state"] in states
            and request.query.get("rule_id", alert["rule_id"]) == alert["rule_id"]
            and request.query.get("agent_id", alert["agent_id"]) == alert["agent_id"]
        ]
        return web.json_response(found)

    async def _acknowledge(self, request: web.Request) -> web.Response:
        body = await request.json()
        if (body.get("ids") is None) == (body.get("rule_id") is None):
            raise Invalid("Say which alerts: their ids, or one rule_id.", field="ids")
        meant = [
            alert
            for alert in self.alerts
            if alert["acknowledged"] is None
            and alert["state"] in _FIRING
            and (alert["rule_id"] == body.get("rule_id") or alert["id"] in (body.get("ids") or ()))
        ]
        for alert in meant:
            alert.update(acknowledged=NOW, acknowledged_by="admin")
        return web.json_response({"count": len(meant)})

    async def _list_notices(self, _: web.Request) -> web.Response:
        return web.json_response(self.notices)

    async def _list_rules(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.rules.values()))

    def _found(self, kind: str, known: dict[str, Json], request: web.Request) -> Json:
        found = known.get(request.match_info["id"])
        if found is None:
            raise NotFound(f"There is no such {kind}.")
        return found

    def _made(self, prefix: str, body: Json) -> Json:
        made = {"id": f"{prefix}_{next(self._numbers):020d}", "created": NOW, "created_by": "admin"}
        return body | made

    def _check_rule(self, body: Json) -> None:
        if "when" in body:
            check(msgspec.convert(body["when"], Condition))
        if "target" in body:
            parse(body["target"])
        if "severity" in body and body["severity"] not in list(Severity):
            raise Invalid("There is no such severity.", field="severity")
        for channel_id in body.get("channels", ()):
            if channel_id not in self.channels:
                raise Invalid(f"There is no alert channel {channel_id}.", field="channels")

    async def _new_rule(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._check_rule(body)
        rule = self._made("rule", body)
        self.rules[rule["id"]] = rule
        return web.json_response(rule, status=201)

    async def _show_rule(self, request: web.Request) -> web.Response:
        return web.json_response(self._found("alert rule", self.rules, request))

    async def _edit_rule(self, request: web.Request) -> web.Response:
        rule = self._found("alert rule", self.rules, request)
        body = await request.json()
        self._check_rule(body)
        rule.update(body)
        return web.json_response(rule)

    async def _delete_rule(self, request: web.Request) -> web.Response:
        rule = self._found("alert rule", self.rules, request)
        del self.rules[rule["id"]]
        self.alerts = [alert for alert in self.alerts if alert["rule_id"] != rule["id"]]
        return web.json_response({"status": "deleted"})

    async def _list_channels(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.channels.values()))

    async def _new_channel(self, request: web.Request) -> web.Response:
        body = await request.json()
        channel = self._made("chan", {"name": body["name"], "kind": _kind(body["url"])})
        self.channels[channel["id"]] = channel
        return web.json_response(channel, status=201)

    async def _edit_channel(self, request: web.Request) -> web.Response:
        channel = self._found("alert channel", self.channels, request)
        body = await request.json()
        if "url" in body:
            channel["kind"] = _kind(body["url"])
        channel["name"] = body.get("name", channel["name"])
        return web.json_response(channel)

    async def _delete_channel(self, request: web.Request) -> web.Response:
        channel = self._found("alert channel", self.channels, request)
        using = [rule["name"] for rule in self.rules.values() if channel["id"] in rule["channels"]]
        if using:
            raise Conflict(f"Rules tell this channel: {', '.join(using)}. Take it out of them first.")
        del self.channels[channel["id"]]
        return web.json_response({"status": "deleted"})

    async def _test_channel(self, request: web.Request) -> web.Response:
        channel = self._found("alert channel", self.channels, request)
        notice_id = f"ntc_{next(self._numbers):020d}"
        delivery = {
            "channel_id": channel["id"],
            "channel": channel["name"],
            "state": "given_up" if self.test_error else "sent",
            "tries": 1,
            "error": self.test_error,
            "ended": NOW,
        }
        notice = {
            "id": notice_id,
            "kind": "test",
            "rule_id": "",
            "rule": "",
            "severity": "info",
            "count": 0,
            "title": f"[TEST] {channel['name']}",
            "body": "This is a test of the channel.",
            "created": NOW,
            "deliveries": [delivery],
        }
        self.notices.insert(0, notice)
        answer = {"sent": not self.test_error, "notice_id": notice_id, "error": self.test_error}
        return web.json_response(answer)

    async def _list_silences(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.silences.values()))

    async def _new_silence(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("target") is None and body.get("rule_id") is None:
            raise Invalid("Say what is silenced: a target, a rule_id, or both.", field="target")
        if body.get("target") is not None:
            parse(body["target"])
        if body.get("rule_id") is not None and body["rule_id"] not in self.rules:
            raise NotFound(f"There is no alert rule {body['rule_id']}.")
        silence = self._made("sil", {"reason": "", **body, "starts": body.get("starts") or NOW})
        self.silences[silence["id"]] = silence
        return web.json_response(silence, status=201)

    async def _end_silence(self, request: web.Request) -> web.Response:
        silence = self._found("silence", self.silences, request)
        del self.silences[silence["id"]]
        return web.json_response(silence | {"ends": NOW})


def _kind(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not (separator and rest and scheme.isalnum()):
        raise Invalid("This is no address of apprise.", field="url")
    return scheme.lower()
