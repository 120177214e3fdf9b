"""The launcher: picks a version that runs under this Python, and becomes it.

It is started by the service manager, and by the agent itself when it restarts in place (the same process,
with the descriptors and variables that the agent hands on). It goes by what is on disk alone (`trials`), so
it does not matter what the one before it died of.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from outrider.bootstrap import trials
from outrider.bootstrap.layout import Layout, NotInstalled, RecordBroken, prefix_of_program, read_installed
from outrider.bootstrap.target import Target
from outrider.bootstrap.versions import Busy, Versions

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

PREFIX: Final = "OUTRIDER_PREFIX"
"""By this variable an agent knows that it is installed, and where."""
_CONFIG: Final = "OUTRIDER_CONFIG"
_HOME: Final = "OUTRIDER_HOME"
_LINK_LISTEN: Final = "OUTRIDER_LINK_LISTEN"
_NOTIFY: Final = "NOTIFY_SOCKET"
NO_WAY: Final = (
    "this host waits for its center to dial it, and without an agent nobody waits: an agent for this Python "
    "comes by a way out to the center, or by `outrider deploy` from where this host can be reached over SSH"
)
_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 300.0
_USAGE: Final = 2


def run(argv: Sequence[str], environ: MutableMapping[str, str] | None = None) -> int:
    """Become the agent: the word `run`. Returns an exit code only when there is nothing to become."""
    variables = os.environ if environ is None else environ
    # Of a version that was on trial in the image before this one.
    signal.alarm(0)
    layout = _layout(argv, "run", variables)
    versions = Versions(layout)
    target = Target.here()
    attempt = 0
    while True:
        start = _begin(versions, target)
        if start.version is not None:
            if attempt:
                _tell_systemd(variables, "STATUS=")
            _become(versions, start.version, variables, alarm=start.alarm)
        # It may take as long as the center is away; a service manager is not to give it up meanwhile.
        _tell_systemd(variables, f"READY=1\nSTATUS=asking the center for an agent for {target}")
        attempt += 1
        if _fetch(versions, target, variables):
            continue
        ceiling = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
        pause = ceiling * (0.5 + random.random() / 2)  # noqa: S311 - spreads tries
        _tell_systemd(variables, f"STATUS=no agent for {target} yet; next try in {pause:.0f} s")
        _log(f"trying again in {pause:.0f} s")
        threading.Event().wait(pause)


def fetch(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Put a version in place without running it: the word `fetch`, said by the agent that is to be updated.

    Says on stdout what it does, a JSON object a line; the last one has `state` `done` or `failed`.
    """
    from outrider.bootstrap import center, fetching, side_door  # noqa: PLC0415 - a start has no need of them

    parser = _parser("fetch")
    parser.add_argument("--version", default="")
    parser.add_argument("--anew", action="store_true")
    told = parser.parse_args(argv)
    variables = os.environ if environ is None else environ
    layout = _layout_of(told.prefix, variables)
    try:
        fetched = fetching.fetch(
            Versions(layout),
            center.Door.of_agent(layout.agent, side_door=variables.get(side_door.CENTER_SOCKET, "")),
            Target.here(),
            version=told.version,
            anew=told.anew,
            say=lambda text: _say("note", text),
        )
    except (fetching.CannotFetch, center.NotEnrolled, Busy) as error:
        _say("failed", str(error))
        return 1
    except BrokenPipeError:
        # The agent that asked for it is gone; what has come is kept for the next one that asks.
        return 1
    _say("done", "in place", name=fetched.name, version=fetched.version, build=fetched.build)
    return 0


def _layout(argv: Sequence[str], word: str, environ: Mapping[str, str]) -> Layout:
    return _layout_of(_parser(word).parse_args(argv).prefix, environ)


def _parser(word: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"outrider-agent.pyz {word}")
    parser.add_argument("--prefix", type=Path, default=None)
    return parser


def _layout_of(prefix: Path | None, environ: Mapping[str, str]) -> Layout:
    """The places of the installation that this program belongs to. Its record may be gone: then the usual."""
    where = prefix or prefix_of_program(sys.argv[0])
    try:
        layout = read_installed(where).layout
    except (NotInstalled, RecordBroken) as error:
        _log(f"{error}; going by the usual places")
        layout = Layout(prefix=where)
    home = environ.get(_HOME)
    if home is None:
        return layout
    return replace(layout, home=Path(home))


def _begin(versions: Versions, target: Target) -> trials.Start:
    """Do what the disk's state asks for, and say which version is to run."""
    state = versions.state(target)
    start = trials.at_start(state, time.monotonic())
    try:
        versions.carry_out(start.acts)
    except OSError as error:
        _log(f"the state of this host's versions can't be written: {error}")
        # Nothing is tried that could not be undone.
        return trials.at_start(trials.without_trial(state), 0.0) if start.on_trial else start
    for act in start.acts:
        if isinstance(act, trials.WriteOutcome):
            _log(_told(act.outcome))
    return start


def _told(outcome: trials.Outcome) -> str:
    if outcome.good:
        return f"{outcome.version} has proved good"
    return f"back on {outcome.previous or 'what there is'}: {outcome.version} failed: {outcome.reason}"


def _become(versions: Versions, name: str, environ: MutableMapping[str, str], *, alarm: int) -> NoReturn:
    layout = versions.layout
    environ[PREFIX] = str(layout.prefix)
    environ.setdefault(_HOME, str(layout.home))
    if layout.settings.exists():
        environ.setdefault(_CONFIG, str(layout.settings))
    if alarm:
        _log(f"trying {name}")
    # It outlives the exec: a version that hangs is ended by the kernel.
    signal.alarm(alarm)
    sys.stdout.flush()
    sys.stderr.flush()
    program = [sys.executable, "-I", "-S", str(versions.site(name)), "agent"]
    os.execve(sys.executable, program, dict(environ))


def _fetch(versions: Versions, target: Target, environ: Mapping[str, str]) -> bool:
    """Bring a version for this Python from the center and have it tried; tell whether there is one now."""
    from outrider.bootstrap import center, fetching  # noqa: PLC0415 - a start has no need of them

    _log(f"no version here is for {target}: asking the center for one")
    failed = versions.outcome()
    try:
        door = center.Door.of_agent(versions.layout.agent)
        fetched = fetching.fetch(versions, door, target, say=_log)
        if not fetched.fresh and failed is not None and not failed.good and failed.version == fetched.name:
            _log(f"the center offers nothing but {fetched.name}, which failed just now")
            # It gets another try, but not at once.
            threading.Event().wait(_FIRST_PAUSE * 5)
        versions.propose(fetched.name, previous=versions.current or "")
    except (fetching.CannotFetch, center.NotEnrolled, Busy, OSError) as error:
        _log(f"no version could be fetched: {error}")
        if waits_for_center(versions.layout, environ):
            _log(NO_WAY)
        return False
    return True


def waits_for_center(layout: Layout, environ: Mapping[str, str]) -> bool:
    """Whether the agent of this installation is told to wait for its center, which dials it (listen mode)."""
    from outrider.bootstrap import agent_settings  # noqa: PLC0415 - a start has no need of it

    told = environ.get(_LINK_LISTEN)
    if told is None:
        file = Path(environ.get(_CONFIG) or layout.settings)
        try:
            told = agent_settings.read(file).get("link_listen", "")
        except agent_settings.SettingsBroken:
            return False  # the agent itself says so, once there is one
    return bool(told)


def _tell_systemd(environ: Mapping[str, str], state: str) -> None:
    address = environ.get(_NOTIFY, "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
        try:
            notifier.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            _log(f"systemd can't be told: {error}")


def _say(state: str, detail: str, **facts: str) -> None:
    sys.stdout.write(json.dumps({"state": state, "detail": detail, **facts}) + "\n")
    sys.stdout.flush()


def _log(text: str) -> None:
    sys.stderr.write(f"outrider launcher: {text}\n")
    sys.stderr.flush()
