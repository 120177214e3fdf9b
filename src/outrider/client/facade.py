"""The same center for programs without an event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from outrider.client.center import AsyncCenter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping
    from types import TracebackType

    from outrider.client.answers import (
        Agent,
        AgentDetail,
        Command,
        CommandType,
        EnrolmentKeyFacts,
        Event,
        EventsMissed,
        NewEnrolmentKey,
        Progress,
        Sent,
        Session,
        SignIn,
    )

T = TypeVar("T")


class Center:
    """One control center, each call waiting for its answer.

        with Center("http://127.0.0.1:8080", token=token) as center:
            print(center.run(agent_id, "shell", {"command": "uptime"}).stdout)

    It runs an AsyncCenter on an event loop in a thread of its own; several threads may share it. The methods
    promise and raise what AsyncCenter's do.
    """

    def __init__(
        self, url: str, *, token: str | None = None, authority: str | None = None, allow_plain: bool = False
    ) -> None:
        """Name a center; see AsyncCenter."""
        self._center = AsyncCenter(url, token=token, authority=authority, allow_plain=allow_plain)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="outrider-center", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. Closing twice is fine."""
        if self._loop.is_closed():
            return
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        await self._center.close()
        await asyncio.get_running_loop().shutdown_asyncgens()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return waiting.result()
        except BaseException:
            # Ctrl-C in the caller's thread must not leave the work running in ours.
            waiting.cancel()
            raise

    def _each(self, source: AsyncIterator[T]) -> Iterator[T]:
        try:
            while True:
                try:
                    yield self._wait(_next(source))
                except StopAsyncIteration:
                    return
        finally:
            self._wait(_leave(source))

    def login(self, username: str, password: str) -> SignIn:
        """Sign in; later requests carry the new token."""
        return self._wait(self._center.login(username, password))

    def logout(self) -> None:
        """End the session of our token."""
        self._wait(self._center.logout())

    def session(self) -> Session:
        """Who we are, and which center this is."""
        return self._wait(self._center.session())

    def trust_pins(self, pins: Collection[str]) -> None:
        """Trust from now on the center's authorities that have one of these pins, and nothing else."""
        self._wait(self._center.trust_pins(pins))

    def agents(
        self, *, tag: str | None = None, status: str | None = None, text: str | None = None
    ) -> list[Agent]:
        """All agents that match."""
        return self._wait(self._center.agents(tag=tag, status=status, text=text))

    def agent(self, agent_id: str) -> AgentDetail:
        """One agent with all that is known of it."""
        return self._wait(self._center.agent(agent_id))

    def edit_agent(
        self, agent_id: str, *, label: str | None = None, tags: Collection[str] | None = None
    ) -> AgentDetail:
        """Set an agent's label, its tags, or both."""
        return self._wait(self._center.edit_agent(agent_id, label=label, tags=tags))

    def delete_agent(self, agent_id: str) -> None:
        """Delete an agent and all of its history."""
        self._wait(self._center.delete_agent(agent_id))

    def approve(self, agent_id: str) -> Agent:
        """Let a pending agent in."""
        return self._wait(self._center.approve(agent_id))

    def decline(self, agent_id: str) -> Agent:
        """Turn an agent away."""
        return self._wait(self._center.decline(agent_id))

    def send(
        self,
        agent_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send a command; the answer means that it is on the center's disk."""
        return self._wait(self._center.send(agent_id, kind, params, ttl=ttl, idempotency_key=idempotency_key))

    def run(
        self,
        agent_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
    ) -> Command:
        """Send a command and return it once it has ended, however long that takes."""
        return self._wait(self._center.run(agent_id, kind, params, ttl=ttl))

    def commands(self, agent_id: str) -> list[Command]:
        """The agent's last 100 commands, newest first."""
        return self._wait(self._center.commands(agent_id))

    def command(self, agent_id: str, command_id: str) -> Command:
        """One command as it stands."""
        return self._wait(self._center.command(agent_id, command_id))

    def cancel(self, agent_id: str, command_id: str) -> Command:
        """Ask for a command to be cancelled."""
        return self._wait(self._center.cancel(agent_id, command_id))

    def follow(self, agent_id: str, command_id: str, *, patience: float | None = 300.0) -> Iterator[Progress]:
        """Follow a command from its first output to its result."""
        return self._each(self._center.follow(agent_id, command_id, patience=patience))

    def command_types(self) -> list[CommandType]:
        """The command types this center knows."""
        return self._wait(self._center.command_types())

    def new_enrolment_key(
        self,
        *,
        label: str | None = None,
        uses: int | None = 1,
        ttl: float | None = None,
        approve: bool = False,
        tags: Collection[str] = (),
    ) -> NewEnrolmentKey:
        """Make an enrolment key; its text is shown this once."""
        return self._wait(
            self._center.new_enrolment_key(label=label, uses=uses, ttl=ttl, approve=approve, tags=tags)
        )

    def enrolment_keys(self) -> list[EnrolmentKeyFacts]:
        """The enrolment keys that are alive, without their secrets."""
        return self._wait(self._center.enrolment_keys())

    def revoke_enrolment_key(self, key_id: str) -> None:
        """End an enrolment key; hosts that came with it stay."""
        self._wait(self._center.revoke_enrolment_key(key_id))

    def events(
        self, *, after: int | None = None, patience: float | None = None
    ) -> Iterator[Event | EventsMissed]:
        """The center's changes as they happen, from the position `after` on."""
        return self._each(self._center.events(after=after, patience=patience))


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)


async def _leave(source: AsyncIterator[Any]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()
