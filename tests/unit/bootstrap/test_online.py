"""Waiting until an agent says how it stands."""

import json
from pathlib import Path
from typing import Any

import pytest

from outrider.bootstrap import online
from outrider.bootstrap.changes import Changes
from outrider.bootstrap.layout import Layout
from outrider.bootstrap.steps import StepFailed


class _Quiet:
    """A service that has nothing to say but its last words."""

    kind = "systemd"
    how = ""

    def configure(self, changes: Changes) -> bool:
        """Nothing."""
        return False

    def start(self, changes: Changes) -> None:
        """Nothing."""

    def restart_in_place(self) -> None:
        """Nothing."""

    def is_running(self) -> bool:
        """It does."""
        return True

    def stop(self) -> None:
        """Nothing."""

    def remove(self) -> None:
        """Nothing."""

    def last_words(self) -> str:
        """What it logged."""
        return "the last line of the log"


def _layout(root: Path, **standing: Any) -> Layout:
    layout = Layout.under(root)
    layout.agent.mkdir(parents=True)
    if standing:
        layout.standing.write_text(json.dumps(standing))
    return layout


@pytest.mark.parametrize("state", ["CONNECTED", "PENDING_APPROVAL"])
def test_it_is_with_its_center(tmp_path: Path, state: str) -> None:
    """Connected, or waiting for somebody to approve it: both are the end of an install."""
    layout = _layout(tmp_path, state=state, build="abc")
    assert online.wait(layout, _Quiet(), seconds=1, build="abc").state == state


@pytest.mark.parametrize("state", ["NOT_CONFIGURED", "DECLINED"])
def test_what_waiting_does_not_help_is_told_at_once(tmp_path: Path, state: str) -> None:
    """With the agent's own reason."""
    layout = _layout(tmp_path, state=state, build="abc", reason="the key was revoked")
    with pytest.raises(StepFailed, match="the key was revoked"):
        online.wait(layout, _Quiet(), seconds=60, build="abc")


def test_it_does_not_get_through(tmp_path: Path) -> None:
    """After the time is up, why it did not is told: its reason, or what it logged where it said none."""
    layout = _layout(tmp_path, state="NOT_CONNECTED", build="abc", reason="no network to the center")
    with pytest.raises(StepFailed, match=r"within 0 s: no network to the center"):
        online.wait(layout, _Quiet(), seconds=0.2, build="abc")
    layout.standing.unlink()
    with pytest.raises(StepFailed, match="the last line of the log"):
        online.wait(layout, _Quiet(), seconds=0.2, build="abc")


def test_the_version_before_does_not_count(tmp_path: Path) -> None:
    """It is the new one that has to be there."""
    layout = _layout(tmp_path, state="CONNECTED", build="old")
    with pytest.raises(StepFailed, match="the one before it runs on"):
        online.wait(layout, _Quiet(), seconds=0.2, build="new")


def test_a_file_that_is_being_written_is_no_answer(tmp_path: Path) -> None:
    """Nor is one that is not there."""
    layout = _layout(tmp_path)
    assert online.read_standing(layout) is None
    layout.standing.write_text('{"state": "CONN')
    assert online.read_standing(layout) is None
