"""Shell lines as real processes: what goes in, what comes out, how they end."""

import asyncio
from pathlib import Path

import pytest

from outrider.domain.command_states import CommandState
from outrider.domain.output import STDERR, STDOUT
from outrider.engines.commands.processes import MARKER
from tests.integration.engines.conftest import Host

_S = CommandState


async def test_pipes_and_quotes(host: Host) -> None:
    """It is a real shell, and a clean end is a success without a word."""
    done = await host.shell("""printf '%s\\n' "b  c" 'a"d' | sort | tr a-z A-Z""")
    assert done.stdout == b'A"D\nB  C\n'
    assert done.stderr == b""
    assert (done.outcome.state, done.outcome.exit_code, done.outcome.reason) == (_S.SUCCEEDED, 0, "")


@pytest.mark.parametrize(("line", "code"), [("exit 3", 3), ("exit 255", 255), ("nosuchprogram", 127)])
async def test_exit_codes(host: Host, line: str, code: int) -> None:
    """Any other exit code than 0 is a failure with that code."""
    outcome = (await host.shell(line)).outcome
    assert (outcome.state, outcome.exit_code, outcome.signal) == (_S.FAILED, code, None)


async def test_a_signal_is_named(host: Host) -> None:
    """A process that was killed by somebody else has failed with that signal."""
    outcome = (await host.shell("kill -9 $$")).outcome
    assert (outcome.state, outcome.exit_code, outcome.signal) == (_S.FAILED, None, 9)
    assert "signal 9 (KILL)" in outcome.reason


@pytest.mark.parametrize("size", [0, 5, 65536, 65537, 262144])
async def test_stdin_arrives_whole(host: Host, size: int) -> None:
    """Text of any allowed size is read to its end, and then there is no more."""
    text = "é" * (size // 2) + "x" * (size % 2)
    done = await host.shell("cat", stdin=text)
    assert done.stdout == text.encode()


async def test_stdin_nobody_reads_is_no_trouble(host: Host) -> None:
    """A command that ignores its input ends as it would without."""
    assert (await host.shell("exit 0", stdin="x" * 262144)).outcome.state is _S.SUCCEEDED


async def test_without_stdin_there_is_none(host: Host) -> None:
    """A command that asks for input gets the end at once and can't wait for it."""
    assert (await host.shell("cat; readlink /proc/self/fd/0")).stdout == b"/dev/null\n"


async def test_the_environment_is_clean(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the agent's own environment leaks; the command's variables and the marker are there."""
    monkeypatch.setenv("OUTRIDER_ENROLMENT_KEY", "secret")
    begun = host.begin("shell", command="env", env={"GREETING": "a b=c\n"})
    lines = (await begun.run()).stdout.decode()
    assert "secret" not in lines
    assert "GREETING=a b=c\n" in lines
    assert f"{MARKER}={begun.id}\n" in lines
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" in lines


async def test_nothing_but_the_three_streams_is_open(host: Host) -> None:
    """No descriptor of the agent reaches a command, the umask is 022, and the session is its own."""
    done = await host.shell("ls /proc/self/fd; umask; ps -o sid= -p $$; echo $$")
    *descriptors, umask, session, pid = done.stdout.decode().split()
    assert descriptors == ["0", "1", "2", "3"]  # 3 is the listing itself.
    assert umask == "0022"
    assert session == pid


async def test_a_working_directory(host: Host, tmp_path: Path) -> None:
    """The command begins where it is told, otherwise at its user's home."""
    assert (await host.shell("pwd", cwd=str(tmp_path))).stdout.decode() == f"{tmp_path}\n"
    assert (await host.shell('test "$(pwd)" = "$HOME"')).outcome.state is _S.SUCCEEDED


async def test_output_is_bytes(host: Host) -> None:
    """What is no text in any encoding is kept as it is."""
    done = await host.shell(r"printf '\377\000\200\n\r\303'")
    assert done.stdout == b"\xff\x00\x80\n\r\xc3"


async def test_both_streams_side_by_side(host: Host) -> None:
    """Each stream arrives whole, however they alternate."""
    done = await host.shell("for i in $(seq 2000); do echo o$i; echo e$i >&2; done")
    assert done.stdout == b"".join(b"o%d\n" % i for i in range(1, 2001))
    assert done.stderr == b"".join(b"e%d\n" % i for i in range(1, 2001))


async def test_a_stream_closed_early(host: Host) -> None:
    """A command that closes its stdout and works on is followed to its real end."""
    done = await host.shell("echo a; exec 1>&-; sleep 0.2; echo b >&2; exit 4")
    assert (done.stdout, done.stderr, done.outcome.exit_code) == (b"a\n", b"b\n", 4)


async def test_a_line_longer_than_an_argument(host: Host) -> None:
    """The kernel limits one argument to 128 KiB; a longer line runs all the same."""
    done = await host.shell("printf %s " + "x" * 200_000)
    assert done.stdout == b"x" * 200_000
    assert list(host.scratch.iterdir()) == []


async def test_a_flood_is_kept_at_both_ends_in_little_memory(host: Host) -> None:
    """50 MB of output go through a few MB of memory; the count is exact."""
    page = 4096
    sizes: list[int] = []

    def look() -> None:
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)

    begun = host.begin("shell", command="echo begin; yes abcdefg | head -c 50000000; echo end")
    look()
    begun.capture.subscribe(look)
    done = await begun.run()
    assert done.outcome.state is _S.SUCCEEDED
    total = len("begin\n") + 50_000_000 + len("end\n")
    assert begun.capture.total(STDOUT) == total
    assert done.stdout.startswith(b"begin\nabcdefg\n")
    assert begun.capture.read(STDOUT, total - 12, 100) == b"abcdefg\nend\n"
    assert max(sizes) - sizes[0] < 16 * 1024 * 1024


async def test_a_flood_starves_nobody(host: Host) -> None:
    """While one command floods its output without end, others run and end, and it can be cancelled."""
    flood = host.begin("shell", command="yes | tee /dev/stderr")
    async with asyncio.TaskGroup() as group:
        flooding = group.create_task(flood.run())
        await flood.said(b"y")
        for _ in range(5):
            assert (await host.shell("echo hi")).stdout == b"hi\n"
        flood.execution.cancel()
    assert flooding.result().outcome.state is _S.CANCELLED
    assert flood.capture.total(STDOUT) > 0
    assert flood.capture.total(STDERR) > 0


async def test_many_at_once(host: Host) -> None:
    """Thirty-two commands side by side each get their own output and code."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(host.shell(f"echo {i}; exit {i}")) for i in range(32)]
    for i, task in enumerate(tasks):
        assert (task.result().stdout, task.result().outcome.exit_code) == (b"%d\n" % i, i)


async def test_a_full_disk_is_told_and_the_command_goes_on(host: Host) -> None:
    """When output can't be kept the command still ends as it would, and the reason says so."""
    begun = host.begin("shell", command="echo x; exit 5")
    (host.folder / f"{begun.id}.1").mkdir()
    outcome = await begun.execution.run()
    assert (outcome.state, outcome.exit_code) == (_S.FAILED, 5)
    assert "output was not kept" in outcome.reason
