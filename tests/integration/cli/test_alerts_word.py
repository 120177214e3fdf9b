"""`outrider alerts`: what fires, what was told, rules, channels and silences, against the fake center."""

import json

from outrider.testing.api import FakeApi
from tests.integration.cli.program import Program


async def test_a_channel_and_a_rule_are_made_shown_and_removed(api: FakeApi, signed_in: Program) -> None:
    """The address comes on standard input and is shown nowhere; the rule names its channel."""
    added = await signed_in.run(
        "alerts", "channels", "add", "ops", stdin=b"json://hooks.example.org/s3cret\n"
    )
    (channel,) = api.alerts.channels.values()
    assert added.code == 0
    assert channel["kind"] == "json"
    assert "s3cret" not in added.out + (await signed_in.run("alerts", "channels")).out
    made = await signed_in.run(
        *("alerts", "rules", "add", "web away", "tag:web", "--offline", "5m"),
        *("--severity", "critical", "--tell", "ops", "--repeat", "4h"),
    )
    assert (made.code, "offline for 5 min" in made.out) == (0, True)
    (rule,) = api.alerts.rules.values()
    assert rule["when"] == {"kind": "offline", "for_s": 300}
    assert (rule["channels"], rule["repeat_s"], rule["severity"]) == ([channel["id"]], 14_400, "critical")
    assert "offline for 5 min" in (await signed_in.run("alerts", "rules")).out
    assert "every 4 h" in (await signed_in.run("alerts", "rules", "show", "web away")).out
    assert (await signed_in.run("alerts", "rules", "disable", "web away")).out == "web away is disabled.\n"
    assert rule["enabled"] is False
    assert (await signed_in.run("alerts", "channels", "remove", "ops", "--yes")).code == 6
    assert (await signed_in.run("alerts", "rules", "remove", "web away", "--yes")).code == 0
    assert (await signed_in.run("alerts", "channels", "remove", "ops", "--yes")).code == 0
    assert not api.alerts.rules
    assert not api.alerts.channels


async def test_a_channel_is_tried(api: FakeApi, signed_in: Program) -> None:
    """What became of it is said; one that did not take it ends with 6, and both are in the history."""
    await signed_in.run("alerts", "channels", "add", "ops", "json://hooks.example.org/x")
    assert (await signed_in.run("alerts", "channels", "test", "ops")).out.startswith("Sent ntc_")
    api.alerts.test_error = "error=503"
    failed = await signed_in.run("alerts", "channels", "test", "ops")
    assert (failed.code, "error=503" in failed.err) == (6, True)
    told = await signed_in.run("alerts", "--history")
    assert "ops: given_up (error=503)" in told.out
    assert "ops: sent" in told.out


async def test_metrics_and_failures_are_said_in_their_own_words(api: FakeApi, signed_in: Program) -> None:
    """Each kind of rule has its options; what does not fit is refused before the center is asked."""
    hot = ("alerts", "rules", "add", "hot", "all", "--metric", "cpu_percent", "--over", "90", "--for", "10m")
    assert (await signed_in.run(*hot)).code == 0
    assert (await signed_in.run("alerts", "rules", "add", "cmd", "all", "--command-failed")).code == 0
    kinds = [rule["when"] for rule in api.alerts.rules.values()]
    assert kinds == [
        {"kind": "metric", "for_s": 600, "series": "cpu_percent", "over": 90},
        {"kind": "command_failed"},
    ]
    for bad in (
        ("--offline", "5m", "--command-failed"),
        (),
        ("--metric", "nonsense", "--over", "1"),
        ("--metric", "cpu_percent"),
        ("--offline", "5m", "--for", "5m"),
    ):
        assert (await signed_in.run("alerts", "rules", "add", "bad", "all", *bad)).code == 2
    missing = await signed_in.run("alerts", "rules", "add", "x", "all", "--offline", "5m", "--tell", "opps")
    assert missing.code == 5


async def test_what_fires_is_listed_and_acknowledged(api: FakeApi, signed_in: Program) -> None:
    """With its host and rule; --all has what is over, too; --json is what the center says."""
    web = api.add_agent("agent_000000000001", "web-01")
    db = api.add_agent("agent_000000000002", "db-01")
    await signed_in.run("alerts", "rules", "add", "away", "all", "--offline", "5m")
    (rule,) = api.alerts.rules.values()
    api.alerts.fire(rule, web)
    api.alerts.fire(rule, db, state="resolved")
    listed = (await signed_in.run("alerts")).out
    assert ("web-01" in listed, "db-01" in listed) == (True, False)
    assert "db-01" in (await signed_in.run("alerts", "--all")).out
    (alert,) = json.loads((await signed_in.run("alerts", "--agent", "web-01", "--json")).out)
    assert (alert["state"], alert["rule"]) == ("firing", "away")
    assert (await signed_in.run("alerts", "ack", alert["id"])).out == "Acknowledged 1 alert.\n"
    assert (await signed_in.run("alerts", "ack", "--rule", "away")).out == "Acknowledged 0 alerts.\n"
    assert (await signed_in.run("alerts", "ack")).code == 2


async def test_silences_are_made_listed_and_ended(api: FakeApi, signed_in: Program) -> None:
    """Of a target, of a rule, or of both; for an hour unless said otherwise."""
    made = await signed_in.run("alerts", "silence", "tag:web", "--for", "2h", "--reason", "new switch")
    assert (made.code, made.out.startswith("Silenced until ")) == (0, True)
    (silence,) = api.alerts.silences.values()
    assert (silence["target"], silence["reason"]) == ("tag:web", "new switch")
    assert "new switch" in (await signed_in.run("alerts", "silences")).out
    assert (await signed_in.run("alerts", "silences", "remove", silence["id"])).code == 0
    assert not api.alerts.silences
    assert (await signed_in.run("alerts", "silence")).code == 2
    assert (await signed_in.run("alerts", "silence", "--rule", "nosuch")).code == 5
