"""What simulated hosts read: a minute and a snapshot as large as a plain host's, with figures that change."""

import math
from typing import Final

import msgspec

from outrider.domain.telemetry.series import Stats, pack, values_of
from outrider.domain.telemetry.snapshot import (
    Card,
    Cpu,
    Disk,
    Load,
    Memory,
    Process,
    Snapshot,
    Swap,
    TopProcesses,
)

_GIB: Final = 1 << 30


def snapshot(number: int, time: float, *, top: bool = False) -> Snapshot:
    """Return what host `number` reads at `time`: two disks, two cards, with `top` ten processes."""
    share = 50.0 + 40.0 * math.sin(time / 60.0 + number)
    disks = tuple(
        Disk(
            mount=mount,
            device=device,
            type="ext4",
            total=100 * _GIB,
            used=63 * _GIB,
            free=32 * _GIB,
            percent=63.2,
            read_bytes=share * 1000,
            written_bytes=share * 3000,
        )
        for mount, device in (("/", "/dev/vda1"), ("/srv", "/dev/vdb1"))
    )
    cards = tuple(
        Card(
            name=name, up=True, received_bytes=share * 10_000, sent_bytes=share * 2000, received_packets=share
        )
        for name in ("eth0", "eth1")
    )
    processes = tuple(
        Process(pid=1000 + n, name=f"worker-{n}", user="www-data", cpu_percent=share / (n + 1), memory=_GIB)
        for n in range(5)
    )
    return Snapshot(
        time=time,
        cpu_percent=share,
        mem_percent=41.5,
        disk_percent=63.2,
        uptime_s=int(time) % 10_000_000,
        cpu=Cpu(
            count=4,
            percent=share,
            user=share * 0.7,
            system=share * 0.3,
            nice=0.0,
            iowait=0.4,
            irq=0.1,
            steal=0.0,
            idle=100.0 - share,
        ),
        memory=Memory(
            total=8 * _GIB,
            available=4 * _GIB,
            used=4 * _GIB,
            free=2 * _GIB,
            buffers=_GIB,
            cached=_GIB,
            percent=41.5,
        ),
        swap=Swap(total=_GIB, used=0, percent=0.0),
        load=Load(one=share / 25, five=1.5, fifteen=1.25),
        disks=disks,
        cards=cards,
        processes=TopProcesses(count=312, by_cpu=processes, by_memory=processes) if top else None,
    )


def minute(number: int, time: float) -> tuple[bytes, bytes]:
    """Return a packed minute of host `number`, and the snapshot that goes with it."""
    last = snapshot(number, time)
    series = {name: Stats(value * 0.8, value, value * 1.3) for name, value in values_of(last).items()}
    return pack(series), msgspec.msgpack.encode(last)
