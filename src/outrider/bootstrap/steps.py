"""What an install tells as it goes: one line a step, for people or as JSON."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFLIGHT: Final = "preflight"
FETCH: Final = "fetch"
UNPACK: Final = "unpack"
CONFIGURE: Final = "configure"
START: Final = "start"
ONLINE: Final = "online"
STEPS: Final = (PREFLIGHT, FETCH, UNPACK, CONFIGURE, START, ONLINE)

_WORDS: Final = {
    PREFLIGHT: "look at this host",
    FETCH: "fetch the agent from the center",
    UNPACK: "unpack it",
    CONFIGURE: "put it in place",
    START: "start it",
    ONLINE: "wait until the center has it",
}


class StepFailed(Exception):
    """A step that can't be done; the text says what is wrong and what to do."""

    def __init__(self, detail: str, *, step: str = "") -> None:
        """`step` is filled in by whoever runs the step."""
        super().__init__(detail)
        self.detail = detail
        self.step = step


class Report:
    """Tells how far it is, on a stream. A reader that has gone is no reason to stop half-way."""

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self._out: TextIO | None = out
        self._as_json = as_json
        self._step = PREFLIGHT

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tell of a step that the block does. What goes wrong in it becomes StepFailed of this step."""
        self._step = name
        self._say(name, "begun")
        try:
            yield
        except StepFailed as failed:
            failed.step = failed.step or name
            raise
        except OSError as error:
            raise StepFailed(_plainly(error), step=name) from error
        if name != ONLINE:
            self._say(name, "done")

    def note(self, detail: str) -> None:
        """Tell something of the step that is under way."""
        self._say(self._step, "note", detail)

    def failed(self, error: StepFailed) -> None:
        """Tell that a step has failed, when all that was done is undone."""
        self._say(error.step or self._step, "failed", error.detail)

    def online(self, detail: str, **facts: Any) -> None:
        """Tell the end of it all; `facts` such as `agent_id` are for programs."""
        self._say(ONLINE, "done", detail, **facts)

    def _say(self, step: str, state: str, detail: str = "", **facts: Any) -> None:
        if self._as_json:
            line = json.dumps({"step": step, "state": state, "detail": detail, **facts})
        else:
            line = _for_people(step, state, detail)
        if not line or self._out is None:
            return
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except OSError:
            # Who reads along has hung up: an install that stops for that would leave a host half done.
            self._out = None


def _for_people(step: str, state: str, detail: str) -> str:
    match state:
        case "begun":
            return f"outrider: {_WORDS.get(step, step)}"
        case "failed":
            return f"outrider: FAILED at {step}: {detail}"
        case "note" | "done" if detail:
            return f"outrider:   {detail}"
        case _:
            return ""


def _plainly(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
