"""Takes the agent off this host: the word `uninstall`. Nothing of it is left but what was asked for."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outrider.bootstrap import center, removal, service
from outrider.bootstrap.center import CenterFault, CenterRefused, Door, NotEnrolled
from outrider.bootstrap.keeper import holder_of
from outrider.bootstrap.layout import DEFAULT_PREFIX, Installed, NotInstalled, RecordBroken, read_installed
from outrider.bootstrap.steps import StepFailed
from outrider.bootstrap.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outrider.bootstrap.layout import Layout

_STOP_SECONDS: Final = 40.0
_LOOK_SECONDS: Final = 0.05
_UNKNOWN: Final = 401


def main(argv: Sequence[str], usual_prefix: Path = DEFAULT_PREFIX) -> int:
    """Uninstall as these words say; returns 0, or 1 when something is left."""
    parser = argparse.ArgumentParser(prog="outrider-agent.pyz uninstall")
    parser.add_argument("--prefix", type=Path, default=usual_prefix)
    parser.add_argument("--keep-data", action="store_true", help="keep the agent's identity, key and spool")
    parser.add_argument("--json", action="store_true", help="tell the end as JSON")
    told = parser.parse_args(argv)
    out = _Out(as_json=told.json)
    try:
        installed = read_installed(told.prefix)
    except NotInstalled as error:
        return out.end(str(error), agent_id="", changed=False)
    except RecordBroken as error:
        return out.fail(str(error))
    if os.geteuid() != 0:
        return out.fail("an agent is taken away as root: run this as root")
    try:
        return _uninstall(installed, out, keep_data=told.keep_data)
    except StepFailed as failed:
        return out.fail(failed.detail)


def _uninstall(installed: Installed, out: _Out, *, keep_data: bool) -> int:
    layout = installed.layout
    agent_id = _agent_id(layout)
    runner = service.of_kind(installed.service, layout)
    out.note("stopping the agent")
    runner.stop()
    _end_left_over(layout)
    # Its key is needed for that, and goes with the data.
    at_center = _at_center(layout, agent_id)
    parts: list[tuple[str, Callable[[], None]]] = [
        ("the service", runner.remove),
        ("the command line", lambda: removal.remove_shim(layout)),
        ("the settings", lambda: removal.remove_settings(layout)),
        ("the key of the edge API", lambda: removal.remove_edge_key(layout)),
    ]
    if not keep_data:
        parts.append(("the data", lambda: removal.remove_data(layout)))
    # Last: with its record gone, nobody would know what is left.
    parts.append(("the program", lambda: removal.remove_program(layout)))
    parts.append(("the folders that were made", lambda: removal.remove_if_empty(installed.folders)))
    for what, remove in parts:
        try:
            remove()
        except OSError as error:
            return out.fail(f"{what} can't be removed: {error}. Mend that, then run this again")
    if keep_data:
        out.note(f"the data stay in {layout.agent}: the next install here goes on as the same agent")
    for left in _left(layout, keep_data=keep_data):
        out.note(f"not ours, and still there: {left}")
    if installed.replaced_unit:
        out.note(f"{installed.replaced_unit}, which ran this agent before, is disabled and still there")
    out.note(at_center)
    return out.end("the agent is gone from this host", agent_id=agent_id, changed=True)


def _agent_id(layout: Layout) -> str:
    try:
        record = json.loads(layout.enrolment.read_bytes())
        return str(record.get("agent_id") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _end_left_over(layout: Layout) -> None:
    """End an agent that runs without what had started it. Raises StepFailed."""
    pid = holder_of(layout.lock)
    if pid is None:
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    end = time.monotonic() + _STOP_SECONDS
    while holder_of(layout.lock) == pid:
        if time.monotonic() > end:
            raise StepFailed(f"the agent (process {pid}) does not stop: end it, then run this again")
        threading.Event().wait(_LOOK_SECONDS)


def _at_center(layout: Layout, agent_id: str) -> str:
    """What is left to do at the center, as a sentence."""
    if not agent_id:
        return "the center knows nothing of this host: it had not joined"
    delete = f"outrider agents delete {agent_id}"
    try:
        door = Door.of_agent(layout.agent)
    except NotEnrolled:
        return "the center has deleted this agent already"
    try:
        center.offer(door, Target.here())
    except CenterRefused as refused:
        if refused.status == _UNKNOWN:
            return "the center does not know this agent any more"
    except CenterFault as fault:
        return f"the center could not be asked ({fault}). If it still lists this host: {delete}"
    return f"the center {door.url} still lists this host, with its history. To delete it there: {delete}"


def _left(layout: Layout, *, keep_data: bool) -> list[Path]:
    """What is in the folders of an installation and not ours."""
    folders = [layout.prefix, layout.settings.parent, *([] if keep_data else [layout.home])]
    return [left for folder in folders if folder.is_dir() for left in sorted(folder.iterdir())]


class _Out:
    """Tells how it goes, for people or for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def note(self, text: str) -> None:
        """Tell something."""
        if self._as_json:
            self._line({"step": "uninstall", "state": "note", "detail": text})
        else:
            sys.stdout.write(f"outrider: {text}\n")
            sys.stdout.flush()

    def end(self, text: str, *, agent_id: str, changed: bool) -> int:
        """Tell that all is done."""
        if self._as_json:
            said = {"step": "uninstall", "state": "done", "detail": text}
            self._line({**said, "agent_id": agent_id, "changed": changed})
        else:
            sys.stdout.write(f"outrider: {text}\n")
        return 0

    def fail(self, text: str) -> int:
        """Tell that something is left."""
        if self._as_json:
            self._line({"step": "uninstall", "state": "failed", "detail": text})
        else:
            sys.stderr.write(f"outrider: FAILED at uninstall: {text}\n")
        return 1

    def _line(self, said: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
