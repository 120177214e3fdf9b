"""This version on trial: it proves good when the center answers it in time, or makes way for the one before.

The launcher has begun the trial and set the kernel's alarm, which ends this process should even the loop
hang. What the rules are is in `outrider.bootstrap.trials`.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from outrider.agent.connection import Connection, Standing
from outrider.agent.installation import PREFIX, Installation
from outrider.bootstrap import durable, trials
from outrider.bootstrap.layout import Layout
from outrider.bootstrap.versions import Busy
from outrider.domain.connection_states import ConnectionState
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

log = logs.get(__name__)

_ANSWERED: Final = frozenset(
    {ConnectionState.CONNECTED, ConnectionState.PENDING_APPROVAL, ConnectionState.DECLINED}
)
"""The states in which the center has answered this agent's hello, or its report."""
_AGAIN: Final = 5.0


class TrialWatch:
    """A service that brings the trial of this version to its end, and is done then."""

    name = "trial"

    def __init__(
        self,
        installation: Installation | None,
        connection: Connection,
        *,
        make_way: Callable[[], None],
        clock: Clock,
    ) -> None:
        """`make_way` restarts this process through the launcher."""
        self._installation = installation
        self._connection = connection
        self._make_way = make_way
        self._clock = clock
        self._answered = asyncio.Event()
        self._over = False
        self._waiting: list[asyncio.Future[None]] = []
        connection.observe(self._note)

    def settled(self) -> asyncio.Future[None]:
        """Return a future, the caller's own, that is done once no trial is under way in this process."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._over:
            future.set_result(None)
        else:
            self._waiting.append(future)
        return future

    async def serve(self, ready: Ready) -> None:
        """See the trial through, if there is one."""
        ready()
        if self._installation is not None and not self._over:
            await self._see_through(self._installation)
        self._over = True
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def _note(self, standing: Standing) -> None:
        if standing.state in _ANSWERED:
            self._answered.set()

    async def _see_through(self, installation: Installation) -> None:
        trial = await asyncio.to_thread(installation.versions.trial)
        if trial is None:
            return
        if trial.stage != trials.BEGUN or trial.version != installation.running:
            # The launcher could not write down how it goes on, and has started what was there.
            await self._write(installation, trials.never_begun(trial, "this host's disk did not take it"))
            return
        log.info("this version is on trial", version=trial.version, before=trial.previous)
        try:
            await self._clock.wait_for(self._answered.wait(), _left(trial))
        except TimeoutError:
            await self._give_up(installation, trial)
        signal.alarm(0)
        await self._write(installation, trials.confirmed(trial))
        log.info("this version has proved good: the center has answered it", version=trial.version)
        await asyncio.to_thread(_tidy_up, installation)

    async def _give_up(self, installation: Installation, trial: trials.Trial) -> None:
        """Make way for the version before this one; never returns."""
        standing = self._connection.standing
        stands = standing.reason or standing.state.value
        reason = f"the center had not answered it within {trial.patience:g} s ({stands})"
        log.warning("this version makes way for the one before it", before=trial.previous, reason=reason)
        try:
            await asyncio.to_thread(installation.versions.carry_out, trials.given_up(trial, reason))
        except OSError as error:
            log.warning("why this version makes way can't be written down", error=error)
        self._make_way()
        await asyncio.get_running_loop().create_future()

    async def _write(self, installation: Installation, acts: tuple[trials.Act, ...]) -> None:
        """Write it down, however long the disk does not take it: until then it has not happened."""
        while True:
            try:
                await asyncio.to_thread(installation.versions.carry_out, acts)
            except OSError as error:
                log.warning("the end of the trial can't be written down yet", error=error)
                await self._clock.sleep(_AGAIN)
            else:
                return


def _left(trial: trials.Trial) -> float:
    """Seconds that are left of the trial's patience, which began with the launcher."""
    gone = time.monotonic() - trial.begun
    return trial.patience - gone if 0 <= gone <= trial.patience else trial.patience


def note_last_words(environ: Mapping[str, str], reason: str) -> None:
    """Write down what this process ends of, in case it is on trial: the launcher tells it. Blocks."""
    if PREFIX not in environ:
        return
    installation = Installation.find(environ)
    trial = None if installation is None else installation.versions.trial()
    if installation is None or trial is None:
        return
    if trial.stage != trials.BEGUN or trial.version != installation.running:
        return
    try:
        installation.versions.carry_out(trials.given_up(trial, reason))
    except OSError as error:
        sys.stderr.write(f"what this version ends of can't be written down: {error}\n")


def _tidy_up(installation: Installation) -> None:
    """Remove what the new version has made useless, and renew the launcher. Nothing depends on it."""
    try:
        with installation.versions.locked():
            removed = installation.versions.remove_unused()
            renewed = _renew_launcher(installation.versions.layout)
    except (Busy, OSError) as error:
        log.warning("old versions and the old launcher stay for now", error=error)
        return
    log.info("tidied up after the update", removed=removed, launcher_renewed=renewed)


def _renew_launcher(layout: Layout) -> bool:
    """Put this version's launcher in the place of an older one; tell whether it was another."""
    # Needed once in the life of a version: what they load is not to stay in the daemon's memory before.
    from outrider.bootstrap import scripts  # noqa: PLC0415 - see above
    from outrider.bootstrap.program import program  # noqa: PLC0415 - see above

    renewed = False
    for file, content in ((layout.program, program()), (layout.launcher, scripts.launcher(layout))):
        if file.exists() and file.read_bytes() != content:
            durable.replace_file(file, content, mode=file.stat().st_mode & 0o777)
            renewed = True
    return renewed
