"""How busy a host is."""

import os
from pathlib import Path

import pytest

from outrider.engines.telemetry.load import LoadMeter


def _write(root: Path, stat: str, meminfo: str = "MemTotal: 1000 kB\nMemAvailable: 250 kB\n") -> None:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text(f"cpu  {stat}\ncpu0 1 2 3\n")
    (root / "proc/meminfo").write_text(meminfo)
    (root / "proc/uptime").write_text("4711.98 123.00\n")


def _disk(_: Path) -> os.statvfs_result:
    """Give a disk of 1000 blocks: 300 used, 100 kept for root, 600 for others."""
    return os.statvfs_result((4096, 4096, 1000, 700, 600, 0, 0, 0, 0, 255))


def test_readings_are_of_the_time_between(tmp_path: Path) -> None:
    """The processor's share counts from the last reading; guest time is not counted twice."""
    _write(tmp_path, "100 0 100 700 100 0 0 0 100 0")
    meter = LoadMeter(tmp_path, _disk)
    assert meter.read().cpu_percent == 20.0
    _write(tmp_path, "150 0 125 700 125 0 0 0 150 0")
    second = meter.read()
    assert second.cpu_percent == 75.0
    assert second.mem_percent == 75.0
    assert second.disk_percent == 33.3
    assert second.uptime_s == 4711


@pytest.mark.parametrize("stat", ["100 0 100 700 100 0 0 0 0 0", "100 0 100 600 100 0 0 0 0 0"])
def test_no_time_or_time_going_back_is_no_error(tmp_path: Path, stat: str) -> None:
    """Two readings in one tick, and counters that step back, give a percentage all the same."""
    _write(tmp_path, "100 0 100 700 100 0 0 0 0 0")
    meter = LoadMeter(tmp_path, _disk)
    meter.read()
    _write(tmp_path, stat)
    assert meter.read().cpu_percent == 0.0


def test_this_host_can_be_read() -> None:
    """The real files give percentages and an uptime."""
    readings = LoadMeter().read()
    for percent in (readings.cpu_percent, readings.mem_percent, readings.disk_percent):
        assert 0.0 <= percent <= 100.0
    assert readings.uptime_s > 0
