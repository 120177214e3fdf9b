"""Waits until the agent that was started says how it stands with its center."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from outrider.bootstrap.steps import StepFailed

if TYPE_CHECKING:
    from outrider.bootstrap.layout import Layout
    from outrider.bootstrap.service import Service

CONNECTED: Final = "CONNECTED"
PENDING: Final = "PENDING_APPROVAL"
_LOOK_SECONDS: Final = 0.1
_OVER: Final = {
    "NOT_CONFIGURED": "the agent can't join",
    "DECLINED": "an administrator has declined this host",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How an agent says that it stands."""

    state: str
    reason: str
    build: str


def read_standing(layout: Layout) -> Standing | None:
    """What the agent has said last; None when it has said nothing yet."""
    try:
        said: dict[str, Any] = json.loads(layout.standing.read_bytes())
    except (OSError, ValueError):
        return None
    return Standing(str(said.get("state", "")), str(said.get("reason", "")), str(said.get("build", "")))


def wait(layout: Layout, service: Service, *, seconds: float, build: str) -> Standing:
    """Return once the agent is with its center: connected, or waiting to be approved.

    `build` is the version that has to say it. Raises StepFailed with the agent's reason, or its last words.
    """
    end = time.monotonic() + seconds
    standing = None
    while time.monotonic() < end:
        standing = read_standing(layout)
        if standing is not None and standing.build in ("", build):
            if standing.state in (CONNECTED, PENDING):
                return standing
            if standing.state in _OVER and standing.reason:
                raise StepFailed(f"{_OVER[standing.state]}: {standing.reason}")
        threading.Event().wait(_LOOK_SECONDS)
    raise StepFailed(_why_not(standing, service, seconds, build))


def _why_not(standing: Standing | None, service: Service, seconds: float, build: str) -> str:
    late = f"the agent did not reach its center within {seconds:.0f} s"
    if standing is not None and standing.build not in ("", build):
        return f"the new version did not reach the center within {seconds:.0f} s; the one before it runs on"
    if standing is not None and standing.reason:
        return f"{late}: {standing.reason}"
    words = service.last_words()
    return f"{late}, and it said nothing but:\n{words}" if words else late
