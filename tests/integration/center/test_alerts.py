"""Alerts: what fires, what of it is told how often, and that no restart loses or repeats it."""

from pathlib import Path

from outrider.testing.clock import TurnedClock
from tests.fixtures.center import own_center
from tests.integration.center.alerting import (
    LONG_UP,
    START,
    alerts,
    come_back,
    go_away,
    make_rule,
    notices,
    pass_time,
    store_hosts,
    told,
)


async def test_an_outage_of_a_thousand_hosts_is_one_notice(
    tmp_path: Path, own_database_url: str | None
) -> None:
    """They go within seconds and come back within seconds: one notice counts them, one says all is over."""
    clock = TurnedClock(time=START)
    async with own_center(tmp_path, clock=clock, database_url=own_database_url) as own:
        hosts = await store_hosts(own, 1000)
        await make_rule(own, {"kind": "offline", "for_s": 60}, name="hosts away", severity="critical")
        await pass_time(own, clock, LONG_UP, step=20)
        for first in range(0, 1000, 250):
            await go_away(own, hosts[first : first + 250])
            await pass_time(own, clock, 5)
        assert await told(own) == []
        await pass_time(own, clock, 100)
        (notice,) = await notices(own)
        assert (notice["kind"], notice["count"], notice["severity"]) == ("firing", 1000, "critical")
        assert notice["title"] == "[FIRING] hosts away: 1,000 hosts"
        assert "host-0000, host-0001" in notice["body"]
        assert "and 990 more" in notice["body"]
        assert notice["id"] in notice["body"]
        assert len(await alerts(own)) == 1000
        await pass_time(own, clock, 3600, step=60)
        assert len(await notices(own)) == 1
        for first in range(0, 1000, 250):
            await come_back(own, hosts[first : first + 250])
            await pass_time(own, clock, 5)
        await pass_time(own, clock, 200)
        assert await told(own) == [("firing", 1000), ("resolved", 1000)]
        assert await alerts(own) == []
        over = await alerts(own, "&state=resolved")
        assert len(over) == 1000
        assert all(each["resolved"] > each["fired"] > each["since"] for each in over)
