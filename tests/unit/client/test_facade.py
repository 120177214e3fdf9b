"""The client for programs without an event loop."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from outrider.client import AsyncCenter, Center, Command, Output
from outrider.domain.errors import NotFound
from outrider.testing.api import PASSWORD, FakeApi

AGENT = "agent_000000000001"


@contextmanager
def in_thread() -> Iterator[tuple[FakeApi, asyncio.AbstractEventLoop]]:
    """The API on a loop in a thread: the test itself has none."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    api = FakeApi()
    try:
        asyncio.run_coroutine_threadsafe(api.start(), loop).result()
        yield api, loop
    finally:
        asyncio.run_coroutine_threadsafe(api.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def answer_next(api: FakeApi) -> None:
    """Answer the next command with two pieces of output."""
    run = await api.next_command()
    run.say("stdout", "one\n")
    run.say("stdout", "two\n")
    run.end("succeeded", exit_code=0)


def test_a_program_without_a_loop_signs_in_lists_runs_and_follows() -> None:
    """The synchronous client does what the asynchronous one does, one call after the other."""
    with in_thread() as (api, loop), Center(api.url) as center:
        api.add_agent(AGENT, "web-01")
        assert center.login("admin", PASSWORD).user.role == "super_admin"
        assert [agent.label for agent in center.agents()] == ["web-01"]
        answering = asyncio.run_coroutine_threadsafe(answer_next(api), loop)
        command = center.run(AGENT, "shell", {"command": "x"})
        answering.result()
        assert command.stdout == "one\ntwo\n"
        steps = list(center.follow(AGENT, command.id))
        assert [step.text for step in steps if isinstance(step, Output)] == ["one\n", "two\n"]
        assert isinstance(steps[-1], Command)
        with pytest.raises(NotFound):
            center.agent("agent_000000000009")


def test_following_may_be_left_early() -> None:
    """Leaving the loop ends the stream; the client goes on working."""
    with in_thread() as (api, loop), Center(api.url, token="token-of-the-fake") as center:
        api.add_agent(AGENT, "web-01")
        answering = asyncio.run_coroutine_threadsafe(answer_next(api), loop)
        sent = center.send(AGENT, "shell", {"command": "x"})
        answering.result()
        for step in center.follow(AGENT, sent.command_id):
            assert isinstance(step, Output)
            break
        assert center.session().user.username == "admin"


def test_closing_twice_is_fine() -> None:
    """A closed client stays closed without complaint."""
    center = Center("http://127.0.0.1:1")
    center.close()
    center.close()


def test_both_faces_have_the_same_methods() -> None:
    """What the asynchronous client can do, the synchronous one can, with the same parameters."""
    for name, method in inspect.getmembers(AsyncCenter, inspect.isfunction):
        if name.startswith("_"):
            continue
        ours = getattr(Center, name, None)
        assert ours is not None, f"Center lacks {name}"
        asked, taken = inspect.signature(method), inspect.signature(ours)
        assert list(asked.parameters.values()) == list(taken.parameters.values()), name
        if "AsyncGenerator" not in str(asked.return_annotation):
            assert asked.return_annotation.replace("trust.", "") == taken.return_annotation, name
