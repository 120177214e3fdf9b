"""A longer description of a host, for somebody who asks: facts, disks, network addresses, uptime."""

import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from outrider.engines.telemetry.facts import HostFacts, read_facts
from outrider.engines.telemetry.machine import boot_id

_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_VIRTUAL_VENDORS: Final = {
    "amazon ec2": "amazon",
    "google": "google",
    "innotek gmbh": "virtualbox",
    "microsoft corporation": "microsoft",
    "parallels": "parallels",
    "qemu": "qemu",
    "vmware, inc.": "vmware",
    "xen": "xen",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A mounted local file system, in bytes."""

    mount: str
    device: str
    type: str
    total: int
    used: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory(HostFacts):
    """The facts and more: what `system_info` prints. `virtualization` is `none` where none is seen."""

    memory_available_bytes: int
    swap_bytes: int
    disks: list[Disk]
    addresses: dict[str, list[str]]
    uptime_s: int
    boot_id: str
    agent_version: str
    virtualization: str


def read_inventory(agent_version: str) -> Inventory:
    """Look at this host closely. Blocks, for long when a local disk hangs. Raises OSError."""
    import psutil  # noqa: PLC0415 - loaded with the first command that asks, so that the daemon stays light

    return Inventory(
        **asdict(read_facts()),
        memory_available_bytes=psutil.virtual_memory().available,
        swap_bytes=psutil.swap_memory().total,
        disks=_disks(),
        addresses=_addresses(),
        uptime_s=int(float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])),
        boot_id=boot_id(),
        agent_version=agent_version,
        virtualization=virtualization(),
    )


def _disks() -> list[Disk]:
    """List what lies on a device of this host; network mounts, which may hang, are left out."""
    import psutil  # noqa: PLC0415 - as above

    disks = []
    seen = set()
    for partition in psutil.disk_partitions(all=False):
        # A device that is mounted twice (bind mounts) is one disk.
        if partition.device in seen:
            continue
        seen.add(partition.device)
        try:
            usage = psutil.disk_usage(partition.mountpoint)
        except OSError:
            continue  # Not ours to see, or just unmounted.
        disks.append(
            Disk(
                mount=partition.mountpoint,
                device=partition.device,
                type=partition.fstype,
                total=usage.total,
                used=usage.used,
                free=usage.free,
            )
        )
    return disks


def _addresses() -> dict[str, list[str]]:
    import psutil  # noqa: PLC0415 - as above

    return {
        card: [address.address for address in addresses if address.family in _FAMILIES]
        for card, addresses in psutil.net_if_addrs().items()
    }


def virtualization(root: Path = Path("/")) -> str:
    """Name what the host runs in: a container's manager, a hypervisor, `vm` for an unknown one, or `none`."""
    container = _line(root / "run/systemd/container")
    if container:
        return container
    if (root / ".dockerenv").exists():
        return "docker"
    vendor = _line(root / "sys/class/dmi/id/sys_vendor").lower()
    if vendor in _VIRTUAL_VENDORS:
        return _VIRTUAL_VENDORS[vendor]
    return "vm" if _has_hypervisor_flag(root / "proc/cpuinfo") else "none"


def _has_hypervisor_flag(cpuinfo: Path) -> bool:
    for line in _line(cpuinfo).splitlines():
        if line.startswith("flags"):
            return "hypervisor" in line.split()
    return False


def _line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
