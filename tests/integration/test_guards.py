"""The guards that every test runs under do catch what they are there for."""

from pathlib import Path

import asyncpg
import pytest

_ROOT = Path(__file__).parents[2]
_GUARDS = f"""
    import sys
    sys.path.insert(0, {str(_ROOT)!r})
    pytest_plugins = (
        "tests.fixtures.resources",
        "tests.fixtures.loop",
        "tests.fixtures.postgres",
        "tests.fixtures.selection",
    )
"""
_SETTINGS = """
    [pytest]
    addopts = -pno:anyio -pno:faker -pno:schemathesis
    asyncio_mode = auto
    markers =
        system
        slow
        acceptance
"""


def _run(pytester: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    pytester.makeini(_SETTINGS)
    pytester.makeconftest(_GUARDS)
    pytester.makepyfile(body)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_a_blocked_loop_fails_and_names_the_line(pytester: pytest.Pytester) -> None:
    """A test that sleeps or computes on the loop fails with the stack; one that waits properly passes.

    So does one whose fixtures take their time before and after it: no loop runs then.
    """
    result = _run(
        pytester,
        """
        import asyncio, pytest, time

        @pytest.fixture
        def slow_part():
            time.sleep(1.5)
            yield
            time.sleep(1.5)

        async def test_sleeps():
            time.sleep(4)

        async def test_computes():
            end = time.thread_time() + 1.5
            while time.thread_time() < end:
                pass

        async def test_waits(slow_part):
            await asyncio.to_thread(time.sleep, 1.5)
        """,
    )
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*event loop was blocked*", "*time.sleep(4)*", "*test_computes*"])


def test_what_is_left_behind_fails(pytester: pytest.Pytester) -> None:
    """Tasks, child processes and descriptors that outlive their test fail it; what ends in time does not."""
    result = _run(
        pytester,
        """
        import asyncio, os, subprocess

        KEEP = []

        async def test_task():
            KEEP.append(asyncio.create_task(asyncio.sleep(60), name="forgotten"))

        async def test_task_that_ends():
            KEEP.append(asyncio.create_task(asyncio.sleep(0)))

        def test_child():
            KEEP.append(subprocess.Popen(["sleep", "2"]))

        def test_descriptor(tmp_path):
            KEEP.append(os.open(tmp_path / "file", os.O_CREAT))

        async def test_clean(tmp_path):
            process = await asyncio.create_subprocess_exec("true")
            await process.wait()
        """,
    )
    result.assert_outcomes(passed=5, errors=3)
    result.stdout.fnmatch_lines(["*forgotten*", "*child process *sleep 2*", "*open descriptor *file*"])


def test_a_skip_is_a_failure_listed_at_the_end(pytester: pytest.Pytester) -> None:
    """Skips in a fixture, a mark or a whole module fail and are listed; an expected failure is fine."""
    result = _run(
        pytester,
        """
        import pytest

        @pytest.fixture
        def part():
            pytest.skip("no such part")

        def test_fixture(part):
            pass

        @pytest.mark.skip(reason="not today")
        def test_mark():
            pass

        @pytest.mark.xfail(reason="known")
        def test_known():
            assert False
        """,
    )
    result.assert_outcomes(errors=2, xfailed=1)
    result.stdout.fnmatch_lines(
        ["*= could not run =*", "*::test_fixture: could not run: no such part", "*::test_mark: *not today"]
    )


def test_order_and_marks(pytester: pytest.Pytester) -> None:
    """Slow tests come after the others, acceptance tests last; who needs a server can be left out."""
    result = _run(
        pytester,
        """
        import pytest

        @pytest.mark.acceptance
        def test_a(): pass

        @pytest.mark.slow
        def test_b(): pass

        def test_c(): pass

        def test_d(postgres_url): pass
        """,
        "-v",
        "-m",
        "not system",
    )
    result.assert_outcomes(passed=3, deselected=1)
    result.stdout.fnmatch_lines(["*::test_c *", "*::test_b *", "*::test_a *"])


def test_acceptance_tests_run_one_at_a_time(pytester: pytest.Pytester) -> None:
    """In a parallel run one process has them all: they are measured against a machine that they have."""
    processes = pytester.path / "processes"
    result = _run(
        pytester,
        f"""
        import os, pathlib, pytest

        @pytest.mark.acceptance
        @pytest.mark.parametrize("number", range(6))
        def test_a(number):
            with pathlib.Path({str(processes)!r}).open("a") as file:
                file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
        """,
        "--numprocesses=2",
        "--dist=loadgroup",
    )
    result.assert_outcomes(passed=6)
    assert len(set(processes.read_text().split())) == 1


async def test_each_database_is_fresh_and_real(postgres_url: str) -> None:
    """The address opens an empty database, whose commits wait as those of a real one do."""
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.execute("CREATE TABLE kept (id int)")
    finally:
        await connection.close()


async def test_the_next_database_knows_nothing(postgres_url: str) -> None:
    """A second test does not see the first one's tables."""
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT to_regclass('kept')") is None
    finally:
        await connection.close()
