"""Reading /proc: names with anything in them, lines cut off, and what hidepid means for whom."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.command_types.processes import ProcessesParams
from outrider.domain.looks import Process
from outrider.engines.commands.process_table import (
    MAX_COMMAND,
    Entry,
    Since,
    hiding,
    parse_entry,
)
from outrider.engines.commands.types.processes import chosen_of

_STATUS = b"Name:\tx\nTgid:\t7\nUid:\t1000\t33\t1000\t1000\n"
_CAPS = "CapPrm:\t000001ffffffffff\nCapEff:\t{:016x}\n"


def _stat(comm: bytes, *, flags: int = 0, rss: int = 3) -> bytes:
    after = f" S 1 7 7 0 -1 {flags} 0 0 0 0 40 2 0 0 20 0 1 0 900 4096 {rss} 1"
    return b"7 (" + comm + b")" + after.encode()


@given(st.binary(max_size=15).filter(lambda name: b"\0" not in name))
def test_any_name_is_read(comm: bytes) -> None:
    """Blanks, brackets and line ends in a name shift nothing."""
    entry = parse_entry(7, _stat(comm), _STATUS, b"")
    assert entry is not None
    assert entry.name == comm.decode(errors="replace")
    assert (entry.parent, entry.uid, entry.ticks, entry.rss_pages, entry.start_ticks) == (1, 33, 42, 3, 900)


@given(st.binary(), st.binary(), st.binary())
def test_any_bytes_are_an_entry_or_none(stat: bytes, status: bytes, cmdline: bytes) -> None:
    """A file that was cut off as its process ended is no fault."""
    entry = parse_entry(7, stat, status, cmdline)
    assert entry is None or entry.pid == 7


@given(st.integers(0, 80))
def test_a_cut_stat_is_no_process(length: int) -> None:
    """Every prefix is read as nothing, or as all that is asked for."""
    whole = _stat(b"sh")
    entry = parse_entry(7, whole[:length], _STATUS, b"")
    assert entry is None or entry.start_ticks == 900


def test_names_and_command_lines() -> None:
    """A name that the kernel cut is completed; a long command line is cut, and shows it."""
    entry = parse_entry(
        7, _stat(b"a-program-with-"), _STATUS, b"/opt/a-program-with-a-name\0-v\0" + b"x" * 4000
    )
    assert entry is not None
    assert entry.name == "a-program-with-a-name"
    assert len(entry.command) == MAX_COMMAND
    assert entry.command.startswith("/opt/a-program-with-a-name -v xx")
    assert entry.command.endswith("\u2026")
    other = parse_entry(7, _stat(b"a-program-with-"), _STATUS, b"/opt/another\0")
    assert other is not None
    assert other.name == "a-program-with-"


def test_a_kernel_thread() -> None:
    """Told by its flag, as its empty command line is not proof."""
    entry = parse_entry(7, _stat(b"kworker/0:1", flags=0x04208060), _STATUS, b"")
    assert entry is not None
    assert entry.is_kernel_thread


@pytest.mark.parametrize(
    ("options", "caps", "groups", "hidden"),
    [
        ("rw", 0, {100}, ""),
        ("rw,hidepid=0", 0, {100}, ""),
        ("rw,hidepid=off", 0, {100}, ""),
        ("rw,hidepid=invisible", 0, {100}, "hidepid=invisible"),
        ("rw,gid=27,hidepid=2", 0, {100}, "hidepid=2"),
        ("rw,gid=27,hidepid=2", 0, {100, 27}, ""),
        ("rw,gid=27,hidepid=ptraceable", 0, {27}, "hidepid=ptraceable"),
        ("rw,hidepid=noaccess", 1 << 19, {100}, ""),
    ],
)
def test_who_is_hidden_from_whom(options: str, caps: int, groups: set[int], hidden: str) -> None:
    """An option hides, unless a capability or the option's group lets this user see all."""
    mountinfo = (
        "20 1 0:5 / / rw - ext4 /dev/vda rw\n"
        "21 20 0:5 / /proc rw - proc proc rw,hidepid=1\n"
        f"22 21 0:6 / /proc rw,relatime shared:5 - proc proc {options}\n"
        "23 21 0:7 / /proc/sys/fs/binfmt_misc rw - binfmt_misc none rw\n"
    )
    assert hiding(mountinfo, _CAPS.format(caps), groups) == hidden


def _entry(ticks: int, start_ticks: int = 900) -> Entry:
    entry = parse_entry(7, _stat(b"sh"), _STATUS, b"sh\0")
    assert entry is not None
    return Entry(
        pid=7,
        parent=1,
        uid=33,
        name="sh",
        command="sh",
        state="S",
        ticks=ticks,
        rss_pages=3,
        start_ticks=start_ticks,
        is_kernel_thread=False,
        threads_of=7,
    )


def test_the_use_of_the_processor() -> None:
    """Of the time between two looks; of its whole life for a process that is newer, or another one."""
    since = Since(booted=1000.0, ticks_per_second=100, page_bytes=4096)

    def used(now: Entry, before: Entry | None, seconds: float) -> float:
        return since.describe(now, before, seconds, now=1109.0, user="u").cpu_percent

    assert used(_entry(150), _entry(100), 2.0) == 25.0
    assert used(_entry(150), None, 2.0) == 1.5
    assert used(_entry(150), _entry(100), 0.0) == 1.5
    assert used(_entry(150), _entry(100, start_ticks=5), 2.0) == 1.5
    assert used(_entry(90), _entry(100), 2.0) == 0.0


_processes = st.lists(
    st.builds(
        Process,
        pid=st.integers(2, 99),
        ppid=st.just(1),
        user=st.sampled_from(["root", "www"]),
        name=st.sampled_from(["sh", "Bash", "nginx"]),
        command=st.text(max_size=5),
        state=st.just("sleeping"),
        cpu_percent=st.floats(0, 400),
        rss_bytes=st.integers(0, 1 << 40),
        started=st.floats(0, 1e9),
        start_ticks=st.integers(0, 1 << 40),
    ),
    unique_by=lambda each: each.pid,
)


@given(_processes, st.sampled_from(["cpu", "memory", "started", "name", "pid"]))
def test_sorting_loses_nobody(processes: list[Process], sort: str) -> None:
    """Each is there once, and the order does not hang on how they were found."""
    params = msgspec.convert({"sort": sort}, ProcessesParams)
    chosen = chosen_of(processes, params)
    assert sorted(each.pid for each in chosen) == sorted(each.pid for each in processes)
    assert chosen_of(reversed(processes), params) == chosen


@given(_processes, st.sampled_from(["SH", "ngi", ""]), st.sampled_from(["root", None]))
def test_filters_keep_what_fits(processes: list[Process], text: str, owner: str | None) -> None:
    """What is kept fits every filter, and what fits is kept."""
    params = ProcessesParams(match=text or None, owner=owner)
    kept = {each.pid for each in chosen_of(processes, params)}
    for each in processes:
        fits = text.lower() in each.name.lower() or text.lower() in each.command.lower()
        assert (each.pid in kept) == (fits and owner in (None, each.user))
