"""A deployment that is under way: what is told of its steps, and to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from outrider.domain.deployments import DeployStep
from outrider.domain.errors import OutriderError
from outrider.domain.ids import AgentId, DeploymentId
from outrider.kit.clock import Clock

_MOST_NOTES: Final = 200
_ORDER: Final = tuple(DeployStep)
_LONGEST_DETAIL: Final = 2_000


class StepNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a step: that it has `begun`, is `done` or has `failed`, or a `note` in between."""

    step: DeployStep
    state: str
    #: Unix seconds.
    time: float
    detail: str = ""


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that went well. `key` is empty when the host kept the key it had."""

    agent_id: AgentId
    key: str
    changed: bool

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Deployed(agent_id={self.agent_id!r}, changed={self.changed})"


class Course:
    """The course of one deployment, for all who look on."""

    def __init__(self, deployment_id: DeploymentId, clock: Clock) -> None:
        """Begin with nothing told."""
        self.id = deployment_id
        self.notes: list[StepNote] = []
        #: Who has cancelled it.
        self.cancelled_by = ""
        #: Whether it comes to its end by itself: a cancel would break off what tidies up.
        self.is_ending = False
        #: Whether the center stops, and this with it.
        self.is_stopping = False
        self.step: DeployStep | None = None
        self.result: Deployed | None = None
        self.error: OutriderError | None = None
        self._clock = clock
        self._watchers: set[asyncio.Event] = set()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.result is not None or self.error is not None

    def enter(self, step: DeployStep) -> None:
        """Go on to a step; the one before it is done. What comes before it in the order is part of it."""
        if self.step is not None and _ORDER.index(step) <= _ORDER.index(self.step):
            return
        if self.step is not None:
            self._note(self.step, "done")
        self.step = step
        self._note(step, "begun")

    def note(self, detail: str) -> None:
        """Tell something of the step that is under way; of very many notes only the first are kept."""
        if self.step is not None and detail and len(self.notes) < _MOST_NOTES:
            self._note(self.step, "note", detail)

    def conclude(self, outcome: Deployed | OutriderError) -> None:
        """Add the last note: that the step is done, or why it failed."""
        if self.step is None:
            return
        if isinstance(outcome, Deployed):
            self._note(self.step, "done")
        else:
            self._note(self.step, "failed", outcome.detail)

    def end(self, outcome: Deployed | OutriderError) -> None:
        """Tell how it ended, once that is written down."""
        if isinstance(outcome, Deployed):
            self.result = outcome
        else:
            self.error = outcome
        self._tell()

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever something is told, inside the block."""
        news = asyncio.Event()
        self._watchers.add(news)
        try:
            yield news
        finally:
            self._watchers.discard(news)

    async def outcome(self) -> Deployed:
        """Wait for the end. Raises the error that it failed with."""
        with self.watched() as news:
            while not self.is_over:
                news.clear()
                await news.wait()
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise AssertionError
        return self.result

    def _note(self, step: DeployStep, state: str, detail: str = "") -> None:
        self.notes.append(
            StepNote(step=step, state=state, time=self._clock.time(), detail=detail[:_LONGEST_DETAIL])
        )
        self._tell()

    def _tell(self) -> None:
        for news in self._watchers:
            news.set()
