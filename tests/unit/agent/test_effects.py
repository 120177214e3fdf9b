"""What waits for a restart: as long as it is another than at the start."""

from pathlib import Path

from outrider.agent.configuration import Configuration
from outrider.agent.configuration_checks import host_checks
from outrider.agent.effects import wait_for_restart
from outrider.agent.restart_required import RestartRequired
from outrider.domain.edge_config import DISK_DIRECTORY


async def test_another_folder_asks_for_a_restart_until_it_is_taken_back(tmp_path: Path) -> None:
    """Other options do not matter; the old value again needs no restart."""
    configuration = Configuration.load(tmp_path / "c.json", check=host_checks(allow_plain=False))
    required = RestartRequired()
    wait_for_restart(DISK_DIRECTORY, configuration, required)
    await configuration.change({"cpu-limit": "50"})
    assert not required.required
    await configuration.change({"disk-directory": str(tmp_path / "disk")})
    assert required.reasons == ("disk-directory",)
    await configuration.change({"disk-directory": ""})
    assert not required.required
