"""Installs an agent, or brings an installed one to what is asked for: the word `install`.

Run twice it changes nothing. A step that fails undoes all that the run has done, and so does a signal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
import sys
import tarfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from outrider.bootstrap import (
    adopt,
    agent_settings,
    center,
    durable,
    online,
    preflight,
    scripts,
    service,
    steps,
)
from outrider.bootstrap.center import CenterFault
from outrider.bootstrap.changes import Changes
from outrider.bootstrap.layout import SERVICE_KEEPER, Installed, write_installed
from outrider.bootstrap.removal import remove_edge_key, remove_program
from outrider.bootstrap.request import BadRequest, Request
from outrider.bootstrap.steps import Report, StepFailed
from outrider.bootstrap.unpack import BadArchive
from outrider.bootstrap.versions import MANIFEST, BadVersion, Busy, Versions, folder_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from outrider.bootstrap.preflight import Host
    from outrider.bootstrap.service import Service

_USAGE: Final = 2
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_MAX_SETTINGS: Final = 1024 * 1024
_MAX_MANIFEST: Final = 256 * 1024
_PIECE: Final = 1024 * 1024
_QUARTERS: Final = 4
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def main(argv: Sequence[str]) -> int:
    """Install as these words say; returns 0, 1 when a step failed, 2 for settings that can't be used."""
    # What others have to read is readable, whoever installs.
    os.umask(0o022)
    parser = argparse.ArgumentParser(prog="outrider-agent.pyz install")
    parser.add_argument("--settings", required=True, metavar="FILE", help="JSON; `-` is standard input")
    parser.add_argument("--json", action="store_true", help="tell of the steps as JSON, one line each")
    parser.add_argument("--label", help="the host's name at the center")
    parser.add_argument("--adopt", action="store_true", help="take over an agent that was started by hand")
    parser.add_argument("--home", help="the data folder, or that of the agent to adopt")
    told = parser.parse_args(argv)
    try:
        request = _with_words(Request.parse(_read(told.settings)), told)
    except (BadRequest, OSError) as error:
        sys.stderr.write(f"outrider: {error}\n")
        return _USAGE
    return install(request, Report(sys.stdout, as_json=told.json))


def install(request: Request, report: Report, program: bytes | None = None) -> int:
    """Carry it out; `program` is the zipapp that is put in place, by itself the one that runs."""
    run = _Run(request, report, program)
    try:
        with _stopped_by_signals():
            run.carry_out()
    except StepFailed as failed:
        with _ignoring_signals():
            report.failed(run.undo(failed))
        return 1
    except BaseException:
        with _ignoring_signals():
            run.undo(StepFailed("a fault of the installer"))
        raise
    return 0


class _Run:
    """One install."""

    def __init__(self, request: Request, report: Report, program: bytes | None) -> None:
        self._request = request
        self._report = report
        self._program = program
        self._changes = Changes()
        self._service: Service | None = None
        self._stopped: adopt.Found | None = None
        self._restarted = False

    def carry_out(self) -> None:
        """Do all steps. Raises StepFailed."""
        report = self._report
        with report.step(steps.PREFLIGHT):
            host = preflight.look(self._request, report)
        layout = host.layout
        versions = Versions(layout)
        self._service = runner = (
            service.of_kind(host.installed.service, layout)
            if host.installed is not None
            else service.of_host(layout)
        )
        fresh = host.installed is None or not host.installed.whole
        with ExitStack() as held:
            with report.step(steps.FETCH):
                self._claim(host, runner, fresh=fresh)
                held.enter_context(_alone(versions))
                name, archive = self._fetch(host, versions)
            with report.step(steps.UNPACK):
                self._unpack(host, versions, name, archive)
            with report.step(steps.CONFIGURE):
                told_anew = self._configure(host, runner, versions, name, fresh=fresh)
            if not self._request.start:
                self._finish(host, runner, versions, member=host.member)
                report.online("installed, and not started", changed=self._changes.any)
                return
            with report.step(steps.START):
                upgraded = not fresh and versions.current != name
                self._start(host, runner, versions, name, again=told_anew, upgraded=upgraded)
            with report.step(steps.ONLINE):
                build = versions.manifest(name)["build"]
                standing = online.wait(layout, runner, seconds=self._request.wait, build=build)
                self._finish(host, runner, versions, member=True)
        self._tell(host, runner, standing.state)

    def undo(self, failed: StepFailed) -> StepFailed:
        """Take back what was done; returns the failure with what could not be."""
        left = self._changes.undo()
        try:
            if self._stopped is not None:
                adopt.start_again(self._stopped)
            elif self._restarted and self._service is not None and self._service.is_running():
                self._service.restart_in_place()
        except (OSError, StepFailed) as error:
            left.append(f"start the agent again that ran before: {error}")
        if left:
            detail = f"{failed.detail}. What could not be undone: {'; '.join(left)}"
            return StepFailed(detail, step=failed.step)
        return failed

    def _claim(self, host: Host, runner: Service, *, fresh: bool) -> None:
        """Say on disk that an install is under way, before anything else: a killed one can be taken away."""
        if not fresh:
            return
        layout = host.layout
        self._changes.undo_with(f"fill {layout.prefix}", lambda: remove_program(layout))
        self._changes.folder(layout.prefix, 0o755)
        self._note(host, runner, whole=False)

    def _note(self, host: Host, runner: Service, *, whole: bool) -> None:
        before = host.installed
        folders = [*(before.folders if before else ()), *self._changes.folders]
        record = Installed(
            layout=host.layout,
            service=runner.kind,
            whole=whole,
            folders=tuple(dict.fromkeys(folder for folder in folders if folder != host.layout.prefix)),
            replaced_unit=host.adopted.unit if host.adopted else before.replaced_unit if before else "",
        )
        self._changes.file(host.layout.installed, write_installed(record), 0o644)

    def _fetch(self, host: Host, versions: Versions) -> tuple[str, Path | None]:
        """The name of the version to run, and its archive; None when it is in place already."""
        if versions.trial() is not None:
            raise StepFailed("an update of this agent is under way: try again when it has ended")
        bundle = self._request.bundle
        if bundle is not None:
            _check_digest(bundle, self._request.bundle_digest)
            name = _name_in(bundle)
        elif host.offered is not None:
            offered = host.offered
            name = folder_name({"version": offered.version, "build": offered.build, "python": offered.python})
        else:
            raise StepFailed("there is nothing to install")
        if name in versions.installed():
            return name, None
        if bundle is not None or host.offered is None:
            return name, bundle
        try:
            return name, center.download(host.door, host.offered, host.layout.downloads, self._progress())
        except CenterFault as fault:
            raise StepFailed(str(fault)) from fault
        finally:
            self._changes.clean_up_with("download", lambda: center.forget_downloads(host.layout.downloads))

    def _progress(self) -> Any:
        told = 0

        def say(got: int, size: int) -> None:
            nonlocal told
            quarter = _QUARTERS * got // size
            if quarter > told:
                told = quarter
                self._report.note(f"{100 * quarter // _QUARTERS} % of {size / 1e6:.1f} MB")

        return say

    def _unpack(self, host: Host, versions: Versions, name: str, archive: Path | None) -> None:
        if archive is None:
            return
        self._changes.undo_with(f"unpack {name}", lambda: durable.remove_tree(host.layout.version(name)))
        try:
            placed = versions.place(archive, host.target)
        except (BadArchive, BadVersion) as error:
            raise StepFailed(str(error)) from error
        finally:
            center.forget_downloads(host.layout.downloads)
        if placed != name:
            raise StepFailed(f"the bundle calls itself {placed}, and not {name}")
        self._report.note(f"version {name}")

    def _configure(self, host: Host, runner: Service, versions: Versions, name: str, *, fresh: bool) -> bool:
        """Put everything in place; tells whether a running agent has to be told."""
        changes, layout = self._changes, host.layout
        changes.folder(layout.settings.parent, 0o755)
        changes.folder(layout.home, 0o700)
        if not layout.agent.exists():
            changes.tree(layout.agent)
        if not layout.edge_key.exists():
            changes.clean_up_with(f"show {layout.edge_key}", lambda: remove_edge_key(layout))
        for log in (layout.log, layout.keeper_log):
            if not log.exists():
                changes.clean_up_with(f"log to {log}", _unlinking(log))
        if fresh:
            self._put_program(host)
            self._put_shim(host)
        told_anew = self._put_membership(host)
        settings = self._settings(host, runner)
        if settings != agent_settings.read(layout.settings):
            told_anew = changes.file(layout.settings, agent_settings.written(settings), 0o600) or told_anew
        elif layout.settings.exists():
            layout.settings.chmod(0o600)
        if fresh:
            changes.link(layout.current, f"{layout.versions.name}/{name}")
        told_anew = runner.configure(changes) or told_anew
        if fresh:
            self._note(host, runner, whole=False)
        return told_anew

    def _put_program(self, host: Host) -> None:
        layout = host.layout
        program = Path(sys.argv[0]).read_bytes() if self._program is None else self._program
        self._changes.file(layout.program, program, 0o755)
        self._changes.file(layout.launcher, scripts.launcher(layout), 0o755)

    def _put_shim(self, host: Host) -> None:
        shim = host.layout.shim
        if (shim.exists() or shim.is_symlink()) and not service.is_ours(shim):
            self._report.note(f"{shim} was there before and stays as it is")
            return
        self._changes.folder(shim.parent, 0o755)
        self._changes.file(shim, scripts.shim(host.layout), 0o755)

    def _put_membership(self, host: Host) -> bool:
        """Put in place what the agent is known by and knows its center by; tells whether that is new."""
        changes, layout, request = self._changes, host.layout, self._request
        new = False
        if host.ca_pem is not None and _certificates(host.ca_pem) != _certificates_in(layout.center_ca):
            changes.folder(layout.agent, 0o700)
            new = changes.file(layout.center_ca, host.ca_pem, 0o644)
        if host.member:
            return new
        if request.agent_key:
            record = {"center_url": request.center_url, "agent_key": request.agent_key}
            if request.agent_id:
                record["agent_id"] = request.agent_id
            else:
                record["used_key"] = request.enrolment_key_id
            changes.folder(layout.agent, 0o700)
            return changes.file(layout.enrolment, json.dumps(record).encode(), 0o600) or new
        if host.record.get("agent_id") and not host.record.get("removed"):
            # The center does not know this agent any more: it joins as if it never had.
            return changes.without(layout.enrolment) or new
        return new

    def _settings(self, host: Host, runner: Service) -> dict[str, Any]:
        """What the agent is to be told: what it was told before, and what this install says."""
        request = self._request
        settings = {**host.settings, "center_url": request.center_url, "home": str(host.layout.home)}
        settings.pop("enrolment_key", None)
        if not host.member:
            if request.enrolment_key and not request.agent_id:
                settings["enrolment_key"] = request.enrolment_key
            if request.label:
                settings["label"] = request.label
        if runner.kind == SERVICE_KEEPER:
            settings.setdefault("log_file", str(host.layout.log))
        return settings

    def _start(
        self, host: Host, runner: Service, versions: Versions, name: str, *, again: bool, upgraded: bool
    ) -> None:
        layout = host.layout
        if host.adopted is not None:
            self._report.note(f"stopping process {host.adopted.pid}, which started by hand")
            self._stopped = host.adopted
            adopt.stop(host.adopted)
        running = runner.is_running()
        if running and not again and not upgraded:
            return
        layout.standing.unlink(missing_ok=True)
        if upgraded:
            # As in an update: the launcher tries it, and goes back by itself when it does not come online.
            self._report.note(f"from {versions.current} to {name}")
            try:
                versions.propose(name, previous=versions.current or "")
            except Busy as error:
                raise StepFailed(str(error)) from error
            self._changes.undo_with("try the version", lambda: layout.trial.unlink(missing_ok=True))
        if running:
            self._restarted = True
            runner.restart_in_place()
        else:
            runner.start(self._changes)

    def _finish(self, host: Host, runner: Service, versions: Versions, *, member: bool) -> None:
        """Leave what a whole install leaves: no key that was used, and the newest launcher."""
        layout = host.layout
        settings = agent_settings.read(layout.settings)
        if member and settings.pop("enrolment_key", None) is not None:
            self._changes.file(layout.settings, agent_settings.written(settings), 0o600)
        self._put_program(host)
        if not (host.installed and host.installed.whole):
            self._note(host, runner, whole=True)
        if versions.trial() is None:
            versions.remove_unused()
        if layout.downloads.exists():
            durable.remove_tree(layout.downloads)

    def _tell(self, host: Host, runner: Service, state: str) -> None:
        record: dict[str, Any] = json.loads(host.layout.enrolment.read_bytes())
        agent_id = record.get("agent_id", "")
        if not self._changes.any:
            self._report.online(
                f"nothing was to be done: this host is {agent_id}, and runs", agent_id=agent_id, changed=False
            )
            return
        self._report.note(runner.how)
        if state == online.PENDING:
            detail = f"this host is {agent_id}, and waits for its approval: outrider approve {agent_id}"
        else:
            detail = f"this host is {agent_id}, and is online"
        self._report.online(detail, agent_id=agent_id, changed=True, standing=state)


def _with_words(request: Request, told: argparse.Namespace) -> Request:
    """What was said on the command line wins."""
    if told.home is not None and not Path(told.home).is_absolute():
        raise BadRequest("--home takes an absolute path")
    return replace(
        request,
        label=request.label if told.label is None else told.label,
        adopt=request.adopt or told.adopt,
        home=request.home if told.home is None else Path(told.home),
    )


def _read(settings: str) -> bytes:
    if settings == "-":
        return sys.stdin.buffer.read(_MAX_SETTINGS)
    with Path(settings).open("rb") as file:
        return file.read(_MAX_SETTINGS)


@contextmanager
def _alone(versions: Versions) -> Iterator[None]:
    try:
        with versions.locked():
            yield
    except Busy as error:
        raise StepFailed(str(error)) from error


def _check_digest(bundle: Path, digest: str) -> None:
    if not digest:
        return
    seen = hashlib.sha256()
    with bundle.open("rb") as file:
        while piece := file.read(_PIECE):
            seen.update(piece)
    if seen.hexdigest() != digest:
        raise StepFailed(f"{bundle} is not the bundle that was sent: its SHA-256 is not {digest}")


def _name_in(bundle: Path) -> str:
    """What a bundle calls its version: its manifest is the first in it."""
    try:
        with tarfile.open(bundle, mode="r:gz") as archive:
            member = archive.next()
            content = archive.extractfile(member) if member is not None and member.name == MANIFEST else None
            if content is None:
                raise StepFailed(f"{bundle} is no bundle: it does not begin with {MANIFEST}")
            return folder_name(json.loads(content.read(_MAX_MANIFEST)))
    except (tarfile.TarError, EOFError, ValueError, KeyError) as error:
        raise StepFailed(f"{bundle} is no bundle, or a damaged one: {error}") from error


def _certificates(pem: bytes) -> set[bytes]:
    return {b"".join(block.split()) for block in _CERTIFICATE.findall(pem)}


def _certificates_in(file: Path) -> set[bytes]:
    try:
        return _certificates(file.read_bytes())
    except FileNotFoundError:
        return set()


def _unlinking(path: Path) -> Any:
    return lambda: path.unlink(missing_ok=True)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let a signal end the block as a step that failed."""

    def stop(number: int, _: FrameType | None) -> None:
        raise StepFailed(f"it was stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ignoring_signals() -> Iterator[None]:
    """Let nothing stop the block."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
