"""What an install tells as it goes."""

import errno
import io
import json
import os
from typing import Any

import pytest

from outrider.bootstrap.steps import FETCH, ONLINE, START, Report, StepFailed


def _lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_as_json_a_line_each() -> None:
    """Begun, what is told of it, done; the end carries what programs ask for."""
    out = io.StringIO()
    report = Report(out, as_json=True)
    with report.step(FETCH):
        report.note("half of it")
    with report.step(ONLINE):
        pass
    report.online("it is there", agent_id="agent_1", changed=True)
    assert [(line["step"], line["state"]) for line in _lines(out)] == [
        ("fetch", "begun"),
        ("fetch", "note"),
        ("fetch", "done"),
        ("online", "begun"),
        ("online", "done"),
    ]
    assert _lines(out)[-1] == {
        "step": "online",
        "state": "done",
        "detail": "it is there",
        "agent_id": "agent_1",
        "changed": True,
    }


def test_for_people() -> None:
    """Sentences, and the step that failed by its name."""
    out = io.StringIO()
    report = Report(out, as_json=False)
    with pytest.raises(StepFailed) as failed, report.step(START):
        raise StepFailed("it does not start")
    report.failed(failed.value)
    assert out.getvalue().splitlines() == [
        "outrider: start it",
        "outrider: FAILED at start: it does not start",
    ]


def test_what_the_disk_says_is_a_failure_of_the_step() -> None:
    """An OSError names the file, and becomes StepFailed."""
    report = Report(io.StringIO(), as_json=True)
    with pytest.raises(StepFailed, match="/opt/x: No space left on device") as failed, report.step(FETCH):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/opt/x")
    assert failed.value.step == FETCH


class _Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, text)


def test_a_reader_that_has_gone_stops_nothing() -> None:
    """The install goes on without one."""
    report = Report(_Gone(), as_json=True)
    with report.step(FETCH):
        report.note("nobody reads this")
    report.online("nor this")
