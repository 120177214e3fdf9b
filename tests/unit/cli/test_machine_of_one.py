"""What the daemons of a machine of one are told, and what they tell back."""

import json
from pathlib import Path

import msgspec
import pytest

from outrider.cli.machine_of_one import MachineOfOne

HOME = Path("/srv/outrider")


def announcement(**facts: object) -> bytes:
    """A center's announcement."""
    return json.dumps({"url": "http://127.0.0.1:8080", **facts}).encode() + b"\n"


def test_each_daemon_gets_the_folder_and_its_own_settings() -> None:
    """The agent never sees the center's secrets, and neither sees what only the CLI knows."""
    environ = {
        "PATH": "/bin",
        "OUTRIDER_ADMIN_PASSWORD": "p",
        "OUTRIDER_MASTER_KEY": "m",
        "OUTRIDER_LISTEN": "127.0.0.1:9",
        "OUTRIDER_MAX_PARALLEL": "3",
        "OUTRIDER_CENTER": "lab",
        "OUTRIDER_DEBUG": "1",
    }
    machine = MachineOfOne(HOME, environ, lambda _: None)
    assert machine.center_environ() == {
        "PATH": "/bin",
        "OUTRIDER_ADMIN_PASSWORD": "p",
        "OUTRIDER_MASTER_KEY": "m",
        "OUTRIDER_LISTEN": "127.0.0.1:9",
        "OUTRIDER_LOG_LEVEL": "warning",
        "OUTRIDER_HOME": "/srv/outrider",
    }
    assert machine.agent_environ() == {
        "PATH": "/bin",
        "OUTRIDER_CLIENT_API_ENABLED": "true",
        "OUTRIDER_MAX_PARALLEL": "3",
        "OUTRIDER_LOG_LEVEL": "warning",
        "OUTRIDER_HOME": "/srv/outrider",
    }


def test_its_agent_serves_the_client_api_unless_that_is_unwanted() -> None:
    """On by itself on a machine of one; the environment may say otherwise."""
    assert MachineOfOne(HOME, {}, print).agent_environ()["OUTRIDER_CLIENT_API_ENABLED"] == "true"
    unwanted = MachineOfOne(HOME, {"OUTRIDER_CLIENT_API_ENABLED": "false"}, print)
    assert unwanted.agent_environ()["OUTRIDER_CLIENT_API_ENABLED"] == "false"


def test_a_log_level_that_was_asked_for_stays() -> None:
    """Quiet daemons are a default, not a rule."""
    machine = MachineOfOne(HOME, {"OUTRIDER_LOG_LEVEL": "debug"}, lambda _: None)
    assert machine.center_environ()["OUTRIDER_LOG_LEVEL"] == "debug"


def test_the_agent_gets_the_key_that_the_center_made_for_it_and_no_other() -> None:
    """A key from outside would be for another center; without one from the center nothing is joined."""
    machine = MachineOfOne(HOME, {"OUTRIDER_ENROLMENT_KEY": "oek_elsewhere"}, lambda _: None)
    machine.center_announced(announcement(local_enrolment_key="oek_local"))
    assert machine.agent_environ()["OUTRIDER_ENROLMENT_KEY"] == "oek_local"
    assert machine.agent_environ()["OUTRIDER_CENTER_URL"] == "http://127.0.0.1:8080"
    machine.center_announced(announcement(local_enrolment_key=None))
    assert "OUTRIDER_ENROLMENT_KEY" not in machine.agent_environ()


def test_address_and_password_are_said_once() -> None:
    """The password only when it was made; a center that comes back is announced without it."""
    said: list[str] = []
    machine = MachineOfOne(HOME, {}, said.append)
    machine.center_announced(
        announcement(
            tls_url="https://[::1]:8443", pins=["p1"], admin={"username": "admin", "password": "s3cret"}
        )
    )
    assert said[1].split() == ["pin", "p1"]
    assert said[0] == "center: ready at http://127.0.0.1:8080 and https://[::1]:8443"
    assert sum("s3cret" in line for line in said) == 1
    machine.center_announced(announcement(admin={"username": "admin", "password": None}))
    assert said[-1] == "center: ready again at http://127.0.0.1:8080"


def test_the_agents_state_is_said() -> None:
    """Connected is ready; any other state is told by its name."""
    said: list[str] = []
    machine = MachineOfOne(HOME, {}, said.append)
    machine.agent_announced(b'{"state":"PENDING_APPROVAL"}\n')
    machine.agent_announced(b'{"state":"CONNECTED"}\n')
    assert said == ["agent: PENDING_APPROVAL", "agent: ready"]


def test_what_is_no_announcement_is_refused() -> None:
    """A line of another shape is an error, not a guess."""
    with pytest.raises(msgspec.DecodeError):
        MachineOfOne(HOME, {}, lambda _: None).center_announced(b"hello\n")
