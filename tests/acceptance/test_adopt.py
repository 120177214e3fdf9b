"""An agent that was started by hand is taken over as it is: the same agent, with its data and settings."""

import json
import tomllib
from typing import Any

from tests.acceptance import by_hand
from tests.acceptance.install_lines import installing, new_line
from tests.fixtures.api import Api
from tests.fixtures.bare_host import BareHost
from tests.fixtures.center import RunningCenter


def _settings(host: BareHost) -> dict[str, Any]:
    return tomllib.loads((host.root / "etc/outrider/agent.toml").read_text())


async def test_an_agent_in_the_background(
    bare_api: Api, bare_center: RunningCenter, bare_host: BareHost
) -> None:
    """Its id, its data where they are, each setting it was told by variables; the old process is gone.

    A take-over that is stopped on the way starts it again as it was. In the end it is taken away like any.
    """
    await by_hand.unpack(bare_api, bare_host)
    before = await bare_host.tree(without=by_hand.WRITTEN)
    await by_hand.start(bare_host, await by_hand.settings(bare_api, bare_center.tls_url))
    record = await by_hand.enrolled(bare_host)
    line = await new_line(bare_api, "curl", "--adopt", "--json")
    async with installing(bare_host, line, ("online", "begun")) as number:
        assert by_hand.PROGRAM not in bare_host.processes()
        await bare_host.sh(f"kill -TERM {number}")
    assert bare_host.processes() == [by_hand.PROGRAM]
    assert await by_hand.enrolled(bare_host) == record
    assert await bare_host.tree(without=by_hand.WRITTEN) == before
    adopted = await bare_host.run("sh", "-c", line)
    assert adopted.code == 0, adopted.said
    end = json.loads(adopted.stdout.splitlines()[-1])
    assert (end["agent_id"], end["changed"]) == (record["agent_id"], True)
    assert by_hand.PROGRAM not in bare_host.processes()
    assert await by_hand.enrolled(bare_host) == record
    assert _settings(bare_host) == {
        "home": by_hand.HOME,
        "center_url": bare_center.tls_url,
        "max_parallel": 7,
        "label": "by hand",
        "log_file": f"{by_hand.HOME}/agent.log",
    }
    again = await bare_host.run("sh", "-c", line)
    assert json.loads(again.stdout.splitlines()[-1])["changed"] is False
    await bare_host.sh("/opt/outrider/outrider-agent uninstall")
    assert await bare_host.tree(without=by_hand.WRITTEN[1:]) == before


async def test_an_agent_of_a_unit(bare_api: Api, bare_center: RunningCenter, systemd_host: BareHost) -> None:
    """The unit that ran it is disabled, and does not come back beside ours; an uninstall tells of it."""
    await by_hand.unpack(bare_api, systemd_host)
    variables = await by_hand.settings(bare_api, bare_center.tls_url)
    lines = "\n".join(f'Environment="{name}={value}"' for name, value in variables.items())
    unit = f"[Service]\n{lines}\nExecStart={by_hand.PROGRAM}\n[Install]\nWantedBy=multi-user.target\n"
    await systemd_host.sh("cat > /etc/systemd/system/mine.service", stdin=unit)
    await systemd_host.sh("systemctl enable --now mine")
    record = await by_hand.enrolled(systemd_host)
    line = await new_line(bare_api, "curl", "--adopt", "--json")
    async with installing(systemd_host, line, ("online", "begun")) as number:
        await systemd_host.sh(f"kill -TERM {number}")
    assert await systemd_host.sh("systemctl is-enabled mine; systemctl is-active mine") == "enabled\nactive\n"
    adopted = await systemd_host.run("sh", "-c", line)
    assert adopted.code == 0, adopted.said
    assert json.loads(adopted.stdout.splitlines()[-1])["agent_id"] == record["agent_id"]
    mine = await systemd_host.run("sh", "-c", "systemctl is-enabled mine; systemctl is-active mine")
    assert mine.stdout == "disabled\ninactive\n"
    assert await systemd_host.sh("systemctl is-active outrider-agent") == "active\n"
    gone = await systemd_host.sh("/opt/outrider/outrider-agent uninstall")
    assert "mine.service, which ran this agent before, is disabled and still there" in gone


async def test_what_can_not_be_told_is_refused(
    bare_api: Api, bare_center: RunningCenter, bare_host: BareHost
) -> None:
    """No agent, one that is in the way, one of another user's, two at a time: each says what to do."""
    await by_hand.unpack(bare_api, bare_host)
    line = await new_line(bare_api, "curl", "--adopt")
    refused = await bare_host.run("sh", "-c", line)
    assert "FAILED at preflight: there is nothing to adopt" in refused.said
    variables = await by_hand.settings(bare_api, bare_center.tls_url)
    await bare_host.sh("chmod 755 /root; mkdir /srv/theirs; chown nobody /srv/theirs")
    await by_hand.start(bare_host, {**variables, "OUTRIDER_HOME": "/srv/theirs"}, user="nobody")
    await by_hand.enrolled(bare_host, "/srv/theirs")
    before = await bare_host.tree(without=(*by_hand.WRITTEN, "/srv", "/var/lib/outrider"))
    refused = await bare_host.run("sh", "-c", line)
    assert "runs as user 65534, and an installed one runs as root" in refused.said
    second = await by_hand.settings(bare_api, bare_center.tls_url)
    await by_hand.start(bare_host, {**second, "OUTRIDER_HOME": "/var/lib/outrider"})
    await by_hand.enrolled(bare_host, "/var/lib/outrider")
    refused = await bare_host.run("sh", "-c", line)
    assert "several agents run here" in refused.said
    assert "Say which with --home" in refused.said
    refused = await bare_host.run("sh", "-c", line.removesuffix(" -s -- --adopt"))
    assert "an agent runs here already, started by hand" in refused.said
    assert "--adopt takes it over" in refused.said
    assert bare_host.processes() == [by_hand.PROGRAM] * 2
    assert await bare_host.tree(without=(*by_hand.WRITTEN, "/srv", "/var/lib/outrider")) == before
