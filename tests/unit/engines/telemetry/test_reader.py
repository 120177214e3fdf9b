"""Reading a host: rates, what is left out, and what a bare container can't tell."""

import pytest

from outrider.domain.telemetry.snapshot import MAX_CARDS, MAX_DISKS
from outrider.engines.telemetry.disks import DiskMeter, DiskReadings, clean, shown
from outrider.engines.telemetry.kernel import (
    CardCount,
    CpuTimes,
    DiskCount,
    Mount,
    ProcessNow,
    PsutilKernel,
    Usage,
)
from outrider.engines.telemetry.rates import Rates
from outrider.engines.telemetry.reader import HostReader
from outrider.engines.telemetry.top import ProcessMeter
from tests.fixtures.kernel import ScriptedKernel

_NO_DISKS = DiskReadings((), 0, "")


def test_shares_and_rates_are_of_the_time_between() -> None:
    """The processors' share and a card's rates count from the reading before; the first has none."""
    kernel = ScriptedKernel()
    reader = HostReader(kernel)
    first = reader.read(time=1000.0, now=10.0, disks=_NO_DISKS, top=False)
    assert (first.cpu, first.cpu_percent, first.cards[0].received_bytes) == (None, None, 0.0)
    kernel.times = CpuTimes(130.0, 0.0, 60.0, 850.0, 25.0, 5.0, 30.0)
    kernel.cards["eth0"] = CardCount(6000, 1500, 20, 10, 5)
    second = reader.read(time=1005.0, now=15.0, disks=_NO_DISKS, top=False)
    assert second.cpu is not None
    assert (second.cpu.percent, second.cpu.user, second.cpu.iowait, second.cpu.idle) == (
        45.0,
        30.0,
        5.0,
        50.0,
    )
    card = second.cards[0]
    assert (card.received_bytes, card.sent_bytes, card.received_packets, card.errors) == (
        1000.0,
        200.0,
        2.0,
        1.0,
    )
    assert (second.mem_percent, second.swap and second.swap.percent) == (25.0, 50.0)
    assert second.processes is None


def test_counters_that_begin_anew_give_no_rate_once() -> None:
    """A card that is made again, or is new, has no rate at first - and never a negative or huge one."""
    rates = Rates()
    assert rates.take({"eth0": (100, 100)}, 1.0) == {}
    assert rates.take({"eth0": (50, 200), "eth1": (9, 9)}, 2.0) == {}
    assert rates.take({"eth0": (60, 210), "eth1": (9, 9)}, 4.0) == {"eth0": (5.0, 5.0), "eth1": (0.0, 0.0)}
    assert rates.take({"eth0": (70, 220)}, 4.0) == {}


@pytest.mark.parametrize("part", ["cpu", "memory", "swap", "load", "uptime", "cards", "processes"])
def test_what_is_missing_is_said_and_the_rest_is_there(part: str) -> None:
    """A container or chroot without some of /proc tells all else, and why that is missing."""
    kernel = ScriptedKernel(missing={part})
    reader = HostReader(kernel)
    reader.read(time=0.0, now=0.0, disks=_NO_DISKS, top=True)
    snapshot = reader.read(time=5.0, now=5.0, disks=_NO_DISKS, top=True)
    field = "uptime_s" if part == "uptime" else part
    assert set(snapshot.unavailable) == {field}
    assert f"/proc/{part}" in snapshot.unavailable[field]
    assert not getattr(snapshot, field)
    kept = {"cpu", "memory", "swap", "load", "uptime_s", "cards", "processes"} - {field}
    assert all(getattr(snapshot, name) is not None for name in kept)


def test_only_disks_that_people_care_about_are_shown() -> None:
    """No pseudo or remote file systems, no images, each device once; the root always, in a container too."""
    table = [
        Mount("proc", "/proc", "proc"),
        Mount("tmpfs", "/run", "tmpfs"),
        Mount("overlay", "/", "overlay"),
        Mount("/dev/vda1", "/etc/hosts", "ext4"),
        Mount("/dev/vda1", "/srv", "ext4"),
        Mount("/dev/loop0", "/snap/core/1", "squashfs"),
        Mount("nas:/export", "/mnt/nas", "nfs4"),
        Mount("tank/data", "/tank", "zfs"),
        Mount("sshfs", "/mnt/far", "fuse.sshfs"),
        Mount("/dev/sdb1", "/mnt/usb", "fuseblk"),
        Mount("overlay", "/var/lib/docker/x", "overlay"),
    ]
    assert [each.point for each in shown(table)] == ["/", "/mnt/usb", "/srv", "/tank"]


def test_disks_with_their_rates() -> None:
    """How full and how busy; what can't be looked at is passed over, what is too much is counted."""
    kernel = ScriptedKernel(
        table=[Mount("/dev/vda1", "/", "ext4"), Mount("/dev/vdb1", "/private", "ext4")],
    )
    meter = DiskMeter(kernel)
    (first,) = meter.read(0.0).disks
    assert (first.mount, first.percent, first.read_bytes) == ("/", 42.1, None)
    kernel.disks["vda1"] = DiskCount(5000, 10_000)
    assert meter.read(5.0).disks[0].written_bytes == 2000.0
    kernel.missing.add("disk_counts")
    without = meter.read(10.0)
    assert without.disks[0].read_bytes is None
    assert "disk_counts" in without.fault
    kernel.table += [Mount(f"/dev/sd{n}", f"/mnt/{n}", "xfs") for n in range(40)]
    kernel.usages |= {f"/mnt/{n}": Usage(1, 1, 0, 100.0) for n in range(40)}
    many = meter.read(15.0)
    assert len(many.disks) == MAX_DISKS
    assert many.left_out == 42 - MAX_DISKS


def test_cards_of_containers_are_left_out_and_many_are_bounded() -> None:
    """The loopback and the ends of containers' cards are not shown; of many, the busiest are."""
    kernel = ScriptedKernel(
        cards={
            "lo": CardCount(9, 9, 9, 9, 0),
            "veth12": CardCount(9, 9, 9, 9, 0),
            "dummy0": CardCount(0, 0, 0, 0, 0),
            **{f"eth{n}": CardCount(n + 1, 0, 1, 1, 0) for n in range(30)},
        }
    )
    snapshot = HostReader(kernel).read(time=0.0, now=0.0, disks=_NO_DISKS, top=False)
    names = [card.name for card in snapshot.cards]
    assert len(names) == MAX_CARDS
    assert "eth29" in names
    assert "eth1" not in names
    assert snapshot.left_out == {"cards": 30 - MAX_CARDS}


def test_the_busiest_and_the_largest_processes() -> None:
    """By processor since the look before, by memory now; a recycled pid is another process."""
    kernel = ScriptedKernel(
        listed=[ProcessNow(pid, 1, f"p{pid}", 100, pid * 1000, 1) for pid in range(1, 9)],
    )
    meter = ProcessMeter(kernel)
    first = meter.read(0.0)
    assert (first.count, first.by_cpu) == (8, ())
    assert [each.pid for each in first.by_memory] == [8, 7, 6, 5, 4]
    kernel.listed[2] = kernel.listed[2]._replace(ticks=600)
    kernel.listed[4] = ProcessNow(5, 77, "new", 50, 1, 1)
    second = meter.read(5.0)
    assert [(each.pid, each.cpu_percent) for each in second.by_cpu] == [(3, 100.0), (5, 10.0)]
    assert second.by_cpu[0].user == "user-3"


def test_names_that_are_no_text_can_be_sent() -> None:
    """A mount or process with any bytes in its name is shown with marks for what is no text."""
    assert clean(b"/mnt/\xff".decode("utf-8", "surrogateescape")) == "/mnt/\ufffd"


def test_this_host_can_be_read() -> None:
    """The real kernel gives what people look for, and nothing fails."""
    kernel = PsutilKernel()
    reader, meter = HostReader(kernel), DiskMeter(kernel)
    reader.read(time=0.0, now=0.0, disks=meter.read(0.0), top=True)
    snapshot = reader.read(time=5.0, now=5.0, disks=meter.read(5.0), top=True)
    assert snapshot.cpu is not None
    assert snapshot.memory is not None
    assert snapshot.memory.total > 0
    assert snapshot.uptime_s is not None
    assert snapshot.processes is not None
    assert snapshot.processes.count > 0
