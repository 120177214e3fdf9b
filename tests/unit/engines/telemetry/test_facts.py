"""What a host says of itself."""

import ipaddress
import os
import socket
import subprocess
import sys
from pathlib import Path

import outrider
from outrider.engines.telemetry.facts import address_towards, first_address, read_facts
from outrider.engines.telemetry.inventory import read_inventory, virtualization


def test_facts_of_this_host() -> None:
    """The facts are those that other tools show."""
    facts = read_facts("127.0.0.1")
    assert facts.hostname == socket.gethostname()
    assert facts.os_family == "linux"
    assert facts.kernel == os.uname().release
    assert facts.architecture == os.uname().machine
    assert facts.ip == "127.0.0.1"
    assert facts.cpus >= 1
    assert facts.memory_bytes > 1 << 20
    assert facts.os
    assert facts.runs_as


def test_no_route_is_no_error() -> None:
    """A peer that can't be reached gives an empty address; the fallback gives an address or nothing."""
    assert address_towards("255.255.255.255") == ""
    if address := first_address():
        assert not ipaddress.ip_address(address.partition("%")[0]).is_loopback


def test_facts_need_no_heavy_part() -> None:
    """A daemon that only says who it is does not load psutil."""
    program = (
        "import sys, outrider.engines.commands.engine, outrider.engines.telemetry.load as load\n"
        "load.LoadMeter().read()\n"
        "sys.exit('psutil' in sys.modules)"
    )
    source = str(Path(outrider.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": source}, check=False)
    assert done.returncode == 0


def test_the_inventory_adds_disks_addresses_and_time() -> None:
    """The longer description holds the facts and what the host has."""
    inventory = read_inventory("1.2.3")
    assert inventory.hostname == socket.gethostname()
    assert inventory.agent_version == "1.2.3"
    assert "127.0.0.1" in inventory.addresses["lo"]
    assert inventory.uptime_s > 0
    for disk in inventory.disks:
        assert disk.used <= disk.total


def test_signs_of_virtualization(tmp_path: Path) -> None:
    """A container is named before the machine it runs on; without a sign there is none."""
    assert virtualization(tmp_path) == "none"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor: 0\nflags : fpu hypervisor\n")
    assert virtualization(tmp_path) == "vm"
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/sys_vendor").write_text("QEMU\n")
    assert virtualization(tmp_path) == "qemu"
    (tmp_path / ".dockerenv").touch()
    assert virtualization(tmp_path) == "docker"
    (tmp_path / "run/systemd").mkdir(parents=True)
    (tmp_path / "run/systemd/container").write_text("podman\n")
    assert virtualization(tmp_path) == "podman"
