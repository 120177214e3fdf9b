"""The disks that people care about, how full they are and how busy."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from outrider.domain.telemetry.snapshot import MAX_DISKS, Disk
from outrider.engines.telemetry.kernel import Kernel, Mount
from outrider.engines.telemetry.rates import Rates

_ROOT: Final = "/"
_POOLS: Final = frozenset({"zfs", "bcachefs"})
"""File systems whose device is no file."""
_ALWAYS_FULL: Final = frozenset({"squashfs", "iso9660", "erofs", "cramfs", "udf"})
_ELSEWHERE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "lustre"}
)
"""On another machine: not this host's disks, and asking hangs while that machine is away."""
_KEPT_FUSE: Final = frozenset({"fuseblk"})


class DiskReadings(NamedTuple):
    """The disks of one look, the root first; how many were left out; what could not be looked at, and why."""

    disks: tuple[Disk, ...]
    left_out: int
    fault: str


def shown(mounts: Iterable[Mount]) -> list[Mount]:
    """Choose the mounts that are disks of this host: each device once, at its shortest mount point.

    What lies on no device (proc, tmpfs, cgroups), elsewhere (NFS) or is full by nature (images) is left out.
    The root is always there, whatever it is: in a container it is an overlay.
    """
    chosen: dict[str, Mount] = {}
    root: Mount | None = None
    for mount in mounts:
        if mount.point == _ROOT:
            root = mount  # the last one mounted there is the one that is seen
        elif _is_disk(mount):
            known = chosen.get(mount.device)
            if known is None or (len(mount.point), mount.point) < (len(known.point), known.point):
                chosen[mount.device] = mount
    if root is not None:
        chosen.pop(root.device, None)
    rest = sorted(chosen.values(), key=lambda mount: mount.point)
    return rest if root is None else [root, *rest]


def _is_disk(mount: Mount) -> bool:
    if mount.type in _ALWAYS_FULL or mount.type in _ELSEWHERE or mount.type == "overlay":
        return False
    if mount.type.startswith("fuse") and mount.type not in _KEPT_FUSE:
        return False
    return mount.device.startswith("/") or mount.type in _POOLS


class DiskMeter:
    """Looks at the disks. It may hang with a dead one: for a thread of its own, once at a time."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._rates = Rates()

    def read(self, now: float) -> DiskReadings:
        """Look at all disks; `now` is monotonic seconds. Raises what the kernel's calls raise."""
        kernel = self._kernel
        mounts = [
            each for each in shown(kernel.mounts()) if each.point == _ROOT or kernel.is_folder(each.point)
        ]
        fault = ""
        try:
            rates = self._rates.take(kernel.disk_counts(), now)
        except (OSError, RuntimeError, ValueError, KeyError, AttributeError) as error:
            rates, fault = {}, f"how busy disks are: {error}"
        disks = []
        for mount in mounts[:MAX_DISKS]:
            try:
                usage = kernel.usage(mount.point)
            except OSError:
                continue  # not ours to see, or just unmounted
            rate = rates.get(kernel.device_name(mount.device))
            disks.append(
                Disk(
                    mount=clean(mount.point),
                    device=clean(mount.device),
                    type=mount.type,
                    total=usage.total,
                    used=usage.used,
                    free=usage.free,
                    percent=usage.percent,
                    read_bytes=None if rate is None else round(rate[0], 1),
                    written_bytes=None if rate is None else round(rate[1], 1),
                )
            )
        return DiskReadings(tuple(disks), max(len(mounts) - MAX_DISKS, 0), fault)


def clean(text: str) -> str:
    """Return a name that may hold any bytes as text that can be sent."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:512]
