"""`services` and `service` with a real systemd, asked by its real systemctl."""

import json
from pathlib import Path

from outrider.domain.command_states import CommandState
from tests.fixtures.bare_host import BareHost
from tests.fixtures.systemctl import leading_to
from tests.integration.engines.conftest import Host

_UNIT = (
    "[Unit]\nDescription=A test\n[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=multi-user.target\n"
)


async def test_a_real_systemd_is_read_and_told(tmp_path: Path, systemd_host: BareHost) -> None:
    """What it lists is read whole; a service is enabled, started, seen with its facts, and disabled again."""
    await systemd_host.sh("cat > /etc/systemd/system/outrider-test.service", stdin=_UNIT)
    systemctl = leading_to(systemd_host, tmp_path)
    host = Host(tmp_path, root=systemctl.root, path=systemctl.path)
    found = json.loads((await host.engine.look("services", {})).told())
    named = {each["name"]: each for each in found["services"]}
    assert (named["systemd-journald.service"]["active"], named["systemd-journald.service"]["enabled"]) == (
        "active",
        "static",
    )
    assert named["outrider-test.service"]["enabled"] == "disabled"
    told = {}
    for action in ("enable", "start", "disable", "stop"):
        done = await host.do("service", name="outrider-test", action=action)
        assert done.outcome.state is CommandState.SUCCEEDED, done.outcome
        told[action] = json.loads(done.stdout)["service"]
    assert [told[action]["enabled"] for action in told] == ["enabled", "enabled", "disabled", "disabled"]
    assert [told[action]["active"] for action in told] == ["inactive", "active", "active", "inactive"]
    assert told["start"]["pid"] > 0
    assert told["start"]["since"] > 0
    assert told["start"]["description"] == "A test"
    static = await host.do("service", name="systemd-journald", action="enable")
    assert "it can't begin with the host by itself" in static.outcome.reason
    missing = await host.do("service", name="no-such-thing", action="enable")
    assert "there is no no-such-thing.service" in missing.outcome.reason
    host.close()
