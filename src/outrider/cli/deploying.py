"""Many deployments at once, with a line for each host and step."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outrider.cli import exit_codes
from outrider.cli.listing import Column, show_json, show_table
from outrider.cli.status_line import StatusLine
from outrider.client import Deployment, DeploymentStep, Reconnecting
from outrider.domain.errors import OutriderError
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outrider.client import AsyncCenter, SshAccess

_STYLES = {"deployed": "green", "failed": "red", "cancelled": "magenta", "interrupted": "yellow"}


@dataclass(frozen=True)
class Errand:
    """One host: as it was typed, how it is reached, and its label."""

    name: str
    access: SshAccess
    label: str


class Deploying:
    """Deploys to some hosts and tells of it. Progress goes to stderr, the result to stdout."""

    def __init__(  # noqa: PLR0913 - one for each part of the request
        self,
        center: AsyncCenter,
        errands: Sequence[Errand],
        *,
        tags: Sequence[str],
        sudo_password: str | None,
        jump: SshAccess | None,
        adopt: bool,
        center_url: str | None,
        parallel: int,
        as_json: bool,
    ) -> None:
        self._center = center
        self._errands = errands
        self._tags = tags
        self._sudo_password = sudo_password
        self._jump = jump
        self._adopt = adopt
        self._center_url = center_url
        self._turns = asyncio.Semaphore(parallel)
        self._as_json = as_json
        self._status = StatusLine(sys.stderr, wanted=not as_json)
        self._at: dict[str, str] = {}
        self._under_way: dict[str, str] = {}
        self._ended: dict[str, Deployment] = {}
        self._refused: dict[str, OutriderError] = {}
        self._interrupted = 0
        self._left = asyncio.Event()

    async def run(self) -> int:
        """Deploy to all, and return the exit code."""
        async with asyncio.TaskGroup() as group:
            with self._interrupts(group), self._status.following_resizes():
                working = [group.create_task(self._one(each), name=each.name) for each in self._errands]
                leaving = group.create_task(self._left.wait(), name="left")
                all_done = group.create_task(asyncio.wait(working), name="all")
                await asyncio.wait((leaving, all_done), return_when=asyncio.FIRST_COMPLETED)
                for task in (*working, leaving, all_done):
                    task.cancel()
        self._status.end()
        self._show()
        if self._under_way:
            names = ", ".join(self._under_way.values())
            self._say(f"left under way: {names}. `outrider deployments` shows what becomes of them.")
        if self._interrupted:
            return exit_codes.INTERRUPTED
        done = [each for each in self._ended.values() if each.state == "deployed"]
        return 0 if len(done) == len(self._errands) else exit_codes.FAILED

    async def _one(self, errand: Errand) -> None:
        async with self._turns:
            if self._is_interrupted():
                return
            try:
                begun = await self._center.begin_deployment(
                    errand.access,
                    label=errand.label,
                    tags=self._tags,
                    sudo_password=self._sudo_password,
                    jump=self._jump,
                    adopt=self._adopt,
                    center_url=self._center_url,
                )
            except OutriderError as error:
                self._refused[errand.name] = error
                self._say(f"{errand.name}: {error.detail}")
                return
            self._under_way[begun.id] = errand.name
            if self._is_interrupted():
                await self._cancel(begun.id)
            try:
                await self._follow(errand.name, begun.id)
            except OutriderError as error:
                self._say(f"{errand.name}: {error.detail}")

    def _is_interrupted(self) -> bool:
        return self._interrupted > 0

    async def _follow(self, name: str, deployment_id: str) -> None:
        async with aclosing(self._center.follow_deployment(deployment_id)) as progress:
            async for step in progress:
                match step:
                    case DeploymentStep():
                        self._tell(name, step)
                    case Reconnecting():
                        self._say(f"{name}: the center is away ({step.reason}); trying again")
                    case Deployment():
                        self._ended[name] = step
                        self._under_way.pop(deployment_id, None)
                        self._at.pop(name, None)
                        self._tell_end(name, step)

    def _tell(self, name: str, step: DeploymentStep) -> None:
        self._at[name] = f"{name}: {step.step}" + (f" ({step.detail})" if step.state == "note" else "")
        if step.state == "begun":
            self._say(f"{name}: {step.step}")
        elif step.state == "note" and not step.detail.endswith("MB"):
            self._say(f"{name}:   {step.detail}")
        done = len(self._ended) + len(self._refused)
        now = " \u00b7 ".join(self._at.values())
        self._status.say(escape(f"{done} of {len(self._errands)} done \u00b7 {now}"))

    def _tell_end(self, name: str, ended: Deployment) -> None:
        if ended.state == "deployed":
            said = "online" if ended.changed else "online already, nothing was changed"
        else:
            said = f"{ended.state} at {ended.step}: {ended.reason}" if ended.step else ended.reason
        self._say(f"{name}: {said}")
        for line in ended.output.splitlines() if ended.state == "failed" else ():
            self._say(f"{name}:   | {line}")

    def _say(self, text: str) -> None:
        if not self._as_json:
            sys.stderr.write(self._status.above(f"{escape(text)}\n"))
            sys.stderr.flush()

    def _show(self) -> None:
        if self._as_json:
            show_json([self._outcome(each) for each in self._errands])
            return
        rows = []
        for each in self._errands:
            ended, refused = self._ended.get(each.name), self._refused.get(each.name)
            state = ended.state if ended else "refused" if refused else "not begun"
            if each.name in self._under_way.values():
                state = "under way"
            why = ended.reason if ended else refused.detail if refused else ""
            rows.append([each.name, state, (ended.agent_id or "") if ended else "", why])
        columns = [Column("HOST", whole=True), Column("STATE", whole=True, styles=_STYLES)]
        show_table([*columns, Column("AGENT", whole=True), Column("REASON")], rows, empty="")

    def _outcome(self, errand: Errand) -> object:
        ended, refused = self._ended.get(errand.name), self._refused.get(errand.name)
        if ended is not None:
            return ended
        if refused is not None:
            return {
                "host": errand.name,
                "state": "refused",
                "code": refused.code,
                "reason": refused.detail,
            }
        under_way = [key for key, name in self._under_way.items() if name == errand.name]
        return {
            "host": errand.name,
            "state": "running" if under_way else "not begun",
            "id": "".join(under_way),
        }

    # --- Ctrl-C

    @contextmanager
    def _interrupts(self, group: asyncio.TaskGroup) -> Iterator[None]:
        """Turn Ctrl-C into a wish: the first cancels, the second leaves."""
        loop = asyncio.get_running_loop()

        def pressed() -> None:
            self._interrupted += 1
            if self._interrupted > 1:
                self._left.set()
                return
            self._say("cancelling; the hosts undo what was begun (Ctrl-C again leaves them to it)")
            for deployment_id in self._under_way:
                group.create_task(self._cancel(deployment_id), name="cancel")

        loop.add_signal_handler(signal.SIGINT, pressed)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    async def _cancel(self, deployment_id: str) -> None:
        try:
            await self._center.cancel_deployment(deployment_id)
        except OutriderError as error:
            # It may just have ended; what became of it is told by its stream.
            self._say(f"{self._under_way.get(deployment_id, deployment_id)}: {error.detail}")
