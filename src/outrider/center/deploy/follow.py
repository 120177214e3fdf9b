"""Following a deployment as it goes: each step, at last its end."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from outrider.center.deploy.progress import StepNote
from outrider.center.deploy.service import DeployService
from outrider.domain.errors import Invalid, NotFound
from outrider.kit import sse
from outrider.kit.clock import Clock

COMMENT_EVERY: Final = 15.0
_LOOK_AGAIN: Final = 1.0
_CURSOR: Final = re.compile(r"\d{1,9}")


def parse_cursor(text: str | None) -> int:
    """Read a `Last-Event-ID`: how many notes the reader knows. Raises `Invalid`."""
    if not text:
        return 0
    if _CURSOR.fullmatch(text) is None:
        raise Invalid("Last-Event-ID must be one that this stream has given.", field="Last-Event-ID")
    return int(text)


class DeployFollowing:
    """Makes the event stream of one deployment."""

    def __init__(self, service: DeployService, clock: Clock) -> None:
        """Take the parts."""
        self._service = service
        self._clock = clock

    async def stream(self, deployment_id: str, since: int) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events: `step` for each note, numbered from 1, and `end` with the deployment."""
        told = since
        while (course := self._service.course(deployment_id)) is not None and not course.is_over:
            with course.watched() as news:
                for number, note in list(enumerate(course.notes, 1))[told:]:
                    told = number
                    yield _encoded(number, note)
                try:
                    await self._clock.wait_for(news.wait(), COMMENT_EVERY)
                except TimeoutError:
                    yield sse.comment("still here")
        while True:
            try:
                view = await self._service.one(deployment_id)
            except NotFound as error:
                yield sse.encode("gone", msgspec.json.encode({"detail": error.detail}), None)
                return
            for number, note in list(enumerate(view.steps, 1))[told:]:
                told = number
                yield _encoded(number, note)
            if view.finished is not None:
                yield sse.encode("end", msgspec.json.encode(view), str(told))
                return
            # Nobody is at work on it here: it is settled soon.
            await self._clock.sleep(_LOOK_AGAIN)


def _encoded(number: int, note: StepNote) -> bytes:
    return sse.encode("step", msgspec.json.encode(note), str(number))
