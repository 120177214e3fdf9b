"""Live readers of commands, and how they hear of news. Nobody waits for a reader."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import msgspec

from outrider.domain.ids import AgentId, CommandId

MAX_WAITING: Final = 512 * 1024
"""Bytes that may wait for one reader; a slower one reads kept output from the store."""


class Watcher(Protocol):
    """Asks an agent for output as it comes, or says that nobody reads it any more."""

    def __call__(self, agent_id: AgentId, command_id: CommandId, *, on: bool) -> None:
        """Ask."""


class Piece(msgspec.Struct, frozen=True):
    """Output as it came. `kept` pieces are on disk, the others exist only here."""

    channel: int
    offset: int
    data: bytes
    kept: bool


def _nobody() -> None:
    return


class Follower:
    """One reader's end of the feed."""

    def __init__(self, notify: Callable[[], None] = _nobody) -> None:
        """Begin with nothing waiting; `notify` is called when something comes."""
        self._notify = notify
        self._pieces: deque[Piece] = deque()
        self._size = 0
        self._changed = False
        self._news = asyncio.Event()

    def put(self, piece: Piece) -> None:
        """Hand a piece over; when too much waits, all of it is dropped: the reader finds the gap."""
        if self._size + len(piece.data) > MAX_WAITING:
            self._pieces.clear()
            self._size = 0
        self._pieces.append(piece)
        self._size += len(piece.data)
        self._news.set()
        self._notify()

    def wake(self) -> None:
        """Tell of a change of state."""
        self._changed = True
        self._news.set()
        self._notify()

    def take(self) -> tuple[list[Piece], bool]:
        """Take what waits: pieces of output, and whether the state has changed since."""
        pieces, changed = list(self._pieces), self._changed
        self._pieces.clear()
        self._size = 0
        self._changed = False
        self._news.clear()
        return pieces, changed

    async def news(self) -> None:
        """Wait until there is something to take, or the state has changed."""
        await self._news.wait()


class Feed:
    """Who follows which command. Tells the host when the first reader comes and the last leaves."""

    def __init__(self, watch: Watcher) -> None:
        """Take how to ask an agent for output as it comes."""
        self._watch = watch
        self._followers: dict[CommandId, set[Follower]] = {}
        self._watched: dict[CommandId, tuple[AgentId, int]] = {}

    @contextmanager
    def follow(self, agent_id: AgentId, command_id: CommandId) -> Iterator[Follower]:
        """Follow a command inside the block; its host is asked for output that is kept nowhere, too."""
        with self.listen(command_id) as follower:
            _, readers = self._watched.get(command_id, (agent_id, 0))
            self._watched[command_id] = (agent_id, readers + 1)
            if not readers:
                self._watch(agent_id, command_id, on=True)
            try:
                yield follower
            finally:
                _, readers = self._watched.pop(command_id)
                if readers > 1:
                    self._watched[command_id] = (agent_id, readers - 1)
                else:
                    self._watch(agent_id, command_id, on=False)

    @contextmanager
    def listen(self, command_id: CommandId, notify: Callable[[], None] = _nobody) -> Iterator[Follower]:
        """Hear of a command inside the block: of what is kept of its output, and of its states."""
        follower = Follower(notify)
        followers = self._followers.setdefault(command_id, set())
        followers.add(follower)
        try:
            yield follower
        finally:
            followers.discard(follower)
            if not followers and self._followers.get(command_id) is followers:
                del self._followers[command_id]

    def is_followed(self, command_id: CommandId) -> bool:
        """Tell whether anybody reads along."""
        return command_id in self._watched

    def live(self, agent_id: AgentId, command_id: CommandId, piece: Piece) -> None:
        """Hand on what is kept nowhere else, if the command is of the agent that says it."""
        watched = self._watched.get(command_id)
        if watched is not None and watched[0] == agent_id:
            self.output(command_id, piece)

    def output(self, command_id: CommandId, piece: Piece) -> None:
        """Hand a piece to all readers of a command."""
        for follower in self._followers.get(command_id, ()):
            follower.put(piece)

    def changed(self, command_id: CommandId) -> None:
        """Tell all readers of a command that its state has changed."""
        for follower in self._followers.get(command_id, ()):
            follower.wake()
