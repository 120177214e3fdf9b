"""The edge API's status: the original's words, from real readings."""

import re
from pathlib import Path

import pytest

from outrider.agent.configuration import Configuration
from outrider.agent.configuration_checks import host_checks
from outrider.agent.connection import FAULT_CERTIFICATE, Connection, Standing
from outrider.agent.local.edge.info import info
from outrider.agent.local.edge.status import StatusReader, connection_word
from outrider.agent.storage import Storage
from outrider.domain.connection_states import ConnectionState as S
from outrider.testing.clock import TurnedClock

_MEBIBYTES = r"about \d+\.\d\d MiB"
_LINES = {
    "iofog-daemon": "RUNNING",
    "memory-usage": _MEBIBYTES,
    "disk-usage": _MEBIBYTES,
    "cpu-usage": r"about \d+\.\d\d %",
    "running-microservices": "2",
    "connection-to-controller": "not connected",
    "messages-processed": "about 0",
    "system-time": r"14/11/2023 11:13 PM",
    "system-available-disk": r"\d+\.\d\d MB \(\d+\.\d\d %\)",
    "system-available-memory": r"\d+\.\d\d MB",
    "system-total-cpu": r"\d+\.\d\d %",
}


@pytest.mark.parametrize("state", list(S))
def test_each_state_has_its_word(state: S) -> None:
    """Four words: ok, not provisioned, a broken certificate, and not connected for all else."""
    words = {S.CONNECTED: "ok", S.NOT_CONFIGURED: "not provisioned"}
    assert connection_word(Standing(state)) == words.get(state, "not connected")
    broken = words.get(state, "broken certificate")
    assert connection_word(Standing(state, "", FAULT_CERTIFICATE)) == broken


async def test_the_lines_have_the_form_of_the_original(tmp_path: Path) -> None:
    """Eleven lines, all texts; the time is the configured zone's."""
    clock = TurnedClock(time=1_700_000_000.0)
    configuration = Configuration.load(tmp_path / "c.json", check=host_checks(allow_plain=False))
    await configuration.change({"time-zone": "Europe/Berlin"})
    reader = StatusReader(
        connection=Connection(Standing(S.PENDING_APPROVAL)),
        configuration=configuration,
        storage=Storage([tmp_path], limit=lambda: None, clock=clock),
        microservices=lambda: 2,
        home=tmp_path,
        clock=clock,
    )
    for _ in range(2):
        said = reader.read()
        assert set(said) == set(_LINES)
        for name, pattern in _LINES.items():
            assert re.fullmatch(pattern, said[name]), (name, said[name])
        clock.jump(10)
        clock.set_time(1_700_000_000.0)
    resident = float(reader.read()["memory-usage"].split()[1])
    assert 10 < resident < 4096


async def test_info_has_every_key_and_empty_settings_are_empty_texts(tmp_path: Path) -> None:
    """What is not set never is an error; what is set has the original's form."""
    configuration = Configuration.load(tmp_path / "c.json", check=host_checks(allow_plain=False))

    def now() -> dict[str, str]:
        return info(configuration, agent_id="", ip="", center="", log_level="info", log_folder="")

    empty = now()
    for name in (
        "iofog-uuid",
        "disk-usage-limit",
        "log-file-directory",
        "gps-coordinates",
        "iofog-certificate",
    ):
        assert empty[name] == ""
    given = {
        "disk-limit": "10",
        "memory-limit": "512",
        "cpu-limit": "80",
        "logs-limit": "0.5",
        "gps": "52.5,13.4",
    }
    assert await configuration.change(dict(given)) == {}
    said = now()
    assert set(said) == set(empty)
    expected = {
        "disk-usage-limit": "10.00 GiB",
        "message-storage-limit": "10.00 GiB",
        "memory-ram-limit": "512.00 MiB",
        "cpu-usage-limit": "80.00%",
        "log-disk-limit": "0.50 GiB",
        "gps-mode": "manual",
        "gps-coordinates": "52.5,13.4",
    }
    assert {name: said[name] for name in expected} == expected
