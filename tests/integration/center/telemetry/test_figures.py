"""The fleet for Prometheus."""

from tests.fixtures.api import Api
from tests.fixtures.links import TestAgent, enrol


def _value(text: str, name: str, agent: TestAgent) -> float:
    (line,) = [each for each in text.splitlines() if each.startswith(f'{name}{{agent_id="{agent.id}"')]
    return float(line.rpartition(" ")[2])


async def test_prometheus_sees_the_fleet(each_api: Api) -> None:
    """How many hosts have which status, and of each host whether it is there and what it last said."""
    there, gone = await enrol(each_api), await enrol(each_api)
    async with there.linked(each_api) as link:
        await link.settled()
        text = (await each_api.ask("GET", "/metrics")).body.decode()
    counts = {
        line.split('"')[1]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("outrider_hosts{")
    }
    assert set(counts) == {"online", "offline", "pending", "declined"}
    assert counts["online"] >= 1
    assert _value(text, "outrider_host_up", there) == 1
    assert _value(text, "outrider_host_up", gone) == 0
    assert "outrider_hosts_left_out 0.0" in text
