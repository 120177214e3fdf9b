"""Tasks with an owner: named, logged when they fail, gone when the owner goes."""

import asyncio
import logging

import pytest

from outrider.kit.tasks import Tasks, TasksClosed, TooManyTasks


async def _forever() -> None:
    await asyncio.Event().wait()


async def _fail() -> None:
    msg = "broken"
    raise LookupError(msg)


async def test_a_task_gives_its_result_and_is_forgotten() -> None:
    """A task can be awaited for its result; once done it is not held on to."""

    async def work() -> str:
        return "result"

    async with Tasks("owner") as tasks:
        task = tasks.start("work", work())
        assert (len(tasks), task.get_name()) == (1, "owner/work")
        assert await task == "result"
        await asyncio.sleep(0)
        assert len(tasks) == 0


async def test_leaving_cancels_and_awaits_all() -> None:
    """After the block every task has ended, its clean-up included."""
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await _forever()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async with Tasks("owner") as tasks:
        tasks.spawn("a", work("a"))
        tasks.spawn("b", work("b"))
        await asyncio.sleep(0)
    assert sorted(ended) == ["a", "b"]


async def test_leaving_by_an_error_ends_the_tasks_too() -> None:
    """An exception in the block ends the tasks and goes on its way."""
    started: list[asyncio.Task[None]] = []

    async def leave() -> None:
        async with Tasks("owner") as tasks:
            started.append(tasks.start("work", _forever()))
            raise KeyError

    with pytest.raises(KeyError):
        await leave()
    assert [task.cancelled() for task in started] == [True]


async def test_a_failure_is_logged_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A task that fails is logged with its name and traceback; its siblings go on."""
    async with Tasks("owner") as tasks:
        sibling = tasks.start("sibling", _forever())
        failing = tasks.start("failing", _fail())
        await asyncio.wait({failing})
        await asyncio.sleep(0)
        assert not sibling.done()
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.__dict__["outrider_fields"] == {"task": "owner/failing"}
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


async def test_a_failure_reaches_whoever_awaits() -> None:
    """Awaiting a task that failed raises its exception."""
    async with Tasks("owner") as tasks:
        with pytest.raises(LookupError, match="broken"):
            await tasks.start("failing", _fail())


async def test_a_failure_while_being_cancelled_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A clean-up that fails when the owner leaves is logged and does not stop the leaving."""

    async def work() -> None:
        try:
            await _forever()
        finally:
            await _fail()

    async with Tasks("owner") as tasks:
        tasks.spawn("work", work())
        await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records] == ["task failed"]


async def test_the_limit_holds() -> None:
    """At the limit a start is refused; when a task has ended there is room again."""
    async with Tasks("owner", limit=1) as tasks:
        first = tasks.start("first", _forever())
        with pytest.raises(TooManyTasks, match="second"):
            tasks.spawn("second", _forever())
        first.cancel()
        await asyncio.wait({first})
        await asyncio.sleep(0)
        tasks.spawn("third", _forever())


async def test_nothing_starts_outside_the_block() -> None:
    """Before, while and after leaving, a start is refused and its coroutine closed."""
    tasks = Tasks("owner")
    refused: list[str] = []

    async def starts_another() -> None:
        try:
            await _forever()
        finally:
            with pytest.raises(TasksClosed):
                tasks.spawn("late", _forever())
            refused.append("while leaving")

    with pytest.raises(TasksClosed, match="owner: early"):
        tasks.spawn("early", _forever())
    async with tasks:
        tasks.spawn("work", starts_another())
        await asyncio.sleep(0)
    with pytest.raises(TasksClosed):
        tasks.spawn("too late", _forever())
    assert refused == ["while leaving"]


async def test_what_never_waits_makes_no_task() -> None:
    """Begun work that does not wait is done when `begin` returns."""
    done: list[str] = []

    async def work() -> None:
        done.append("all")

    async with Tasks("owner") as tasks:
        tasks.begin("work", work())
        assert (done, len(tasks)) == (["all"], 0)


async def test_what_waits_goes_on_as_a_task() -> None:
    """Begun work runs up to its first wait at once; results, errors and bare yields go on from there."""
    done: list[object] = []
    gate = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def work() -> None:
        done.append("begun")
        done.append(await gate)
        await asyncio.sleep(0)
        with pytest.raises(LookupError):
            await _fail()
        over.set()

    async with Tasks("owner") as tasks:
        tasks.begin("work", work())
        assert (done, len(tasks)) == (["begun"], 1)
        gate.set_result("opened")
        await over.wait()
    assert done == ["begun", "opened"]


async def test_begun_work_is_cancelled_with_its_owner() -> None:
    """What waits for an error gets it, and cancelling reaches the place where it waits."""
    seen: list[str] = []

    async def work(gate: asyncio.Future[None]) -> None:
        try:
            await gate
        except LookupError:
            seen.append("error")
            await _forever()
        finally:
            seen.append("cleaned up")

    loop = asyncio.get_running_loop()
    failing = loop.create_future()
    async with Tasks("owner") as tasks:
        tasks.begin("failing", work(failing))
        tasks.begin("waiting", work(loop.create_future()))
        failing.set_exception(LookupError())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen == ["error"]
    assert sorted(seen) == ["cleaned up", "cleaned up", "error"]
    with pytest.raises(TasksClosed):
        tasks.begin("late", _forever())
