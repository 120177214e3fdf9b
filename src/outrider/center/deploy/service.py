"""What people do with deployments: begin, look, wait, cancel; and with the host keys that are remembered."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final

import msgspec

from outrider.center.deploy import rows
from outrider.center.deploy.errand import Errand, Parts, check_body, place_name, undo_here
from outrider.center.deploy.progress import Course, Deployed, StepNote
from outrider.center.deploy.rows import DeploymentRow, HostKeyRow
from outrider.center.deploy.wishes import DeployBody
from outrider.center.deploy.writes import (
    BEGIN,
    CANCEL,
    END,
    FORGET,
    PROGRESS,
    Beginning,
    Cancellation,
    Ending,
    Forgetting,
    Progress,
)
from outrider.domain.actors import CENTER, Actor
from outrider.domain.deployments import (
    DeployCancelled,
    DeployInterrupted,
    DeploymentState,
    DeployStep,
    DeployUnderWay,
)
from outrider.domain.errors import Conflict, OutriderError, Throttled, Unavailable
from outrider.domain.host_keys import normal_host
from outrider.domain.ids import AgentId, DeploymentId, HostKeyId, KeyId, new_deployment_id
from outrider.kit import logs
from outrider.kit.supervise import Ready
from outrider.kit.tasks import Tasks

log = logs.get(__name__)

AT_ONCE: Final = 8
"""Deployments at work at once: each encrypts a bundle in the center's own process."""
_MOST_WAITING: Final = 500
_COME_AGAIN: Final = 30.0
_SETTLE_AGAIN: Final = 5.0


class DeployFault(OutriderError):
    """A fault of the center's own ended a deployment; its log says more."""

    code = "internal"


class DeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as people see it. `step` is where it is, or failed; `output` what the host said."""

    id: str
    host: str
    port: int
    ssh_user: str
    #: The jump host; empty without one.
    via: str
    label: str
    state: DeploymentState
    step: DeployStep | None
    steps: list[StepNote]
    created: float
    created_by: str
    finished: float | None
    #: Why it failed: the error's code, and what it says.
    code: str
    reason: str
    output: str
    agent_id: str | None
    #: Whether anything was changed on the host.
    changed: bool | None


class HostKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A host key that is remembered: another one is refused."""

    id: str
    host: str
    port: int
    via: str
    algorithm: str
    fingerprint: str
    #: As a line of known_hosts has it.
    key: str
    remembered: float
    remembered_by: str


class DeployService:
    """Everything about deployments but the routes. A service: it owns those that are under way."""

    name = "deployments"

    def __init__(self, parts: Parts) -> None:
        """Take what each works with."""
        self._parts = parts
        self._tasks = Tasks("deployments", limit=AT_ONCE + _MOST_WAITING)
        self._courses: dict[DeploymentId, Course] = {}
        self._running: dict[DeploymentId, asyncio.Task[None]] = {}
        self._hosts: dict[str, DeploymentId] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def serve(self, ready: Ready) -> None:
        """Settle what an earlier center left, then own deployments until stopped."""
        async with self._tasks:
            ready()
            try:
                await self._settle_until_done()
                await asyncio.get_running_loop().create_future()
            finally:
                for course in self._courses.values():
                    course.is_stopping = True

    async def _settle_until_done(self) -> None:
        while True:
            try:
                await self.settle()
            except Unavailable as error:
                log.warning("deployments that were cut off can't be settled yet", reason=error.detail)
                await self._parts.clock.sleep(_SETTLE_AGAIN)
            else:
                return

    async def settle(self) -> None:
        """Mark deployments that nobody is at work on: the center was killed in the middle of them."""
        async with self._parts.store.read() as conn:
            left = await rows.under_way(conn)
        for row in left:
            if row.id in self._courses:
                continue
            await undo_here(self._parts, row.enrolment_key_id, CENTER, since=math.inf)
            agent_id = await self._agent_of(row.enrolment_key_id)
            await self._parts.store.writer.submit(
                END,
                Ending(
                    id=row.id,
                    by=CENTER,
                    state=DeploymentState.INTERRUPTED,
                    step=row.step,
                    steps=row.steps,
                    code=DeployInterrupted.code,
                    reason=_cut_off(agent_id),
                    output=row.output,
                    agent_id=agent_id,
                ),
            )

    async def _agent_of(self, key_id: KeyId | None) -> AgentId | None:
        if key_id is None:
            return None
        async with self._parts.store.read() as conn:
            enrolled = await rows.let_in_by(conn, key_id)
        return None if enrolled is None else enrolled.agent_id

    # --- deployments

    async def begin(self, body: DeployBody, by: Actor) -> Course:
        """Begin to bring the agent to a host; returns once that is written down.

        Raises Invalid for what can't work, DeployUnderWay for a host that is at it already, Throttled when
        too many wait.
        """
        check_body(body)
        via = place_name(body.jump) if body.jump else ""
        place = f"{place_name(body)} {via}"
        if place in self._hosts:
            raise DeployUnderWay(
                f"{body.host} is being deployed to already: {self._hosts[place]}.",
                deployment_id=self._hosts[place],
            )
        if len(self._courses) >= AT_ONCE + _MOST_WAITING:
            raise Throttled(f"{_MOST_WAITING} deployments wait already.", retry_after=_COME_AGAIN)
        now = self._parts.clock.time()
        course = Course(new_deployment_id(now), self._parts.clock)
        self._hosts[place] = course.id
        self._courses[course.id] = course
        try:
            row = DeploymentRow(
                id=course.id,
                host=normal_host(body.host),
                port=body.ssh_port,
                ssh_user=body.ssh_user,
                via=via,
                label=body.label,
                state=DeploymentState.WAITING,
                step=None,
                steps=[],
                created=now,
                created_by=by.id,
                created_by_name=by.name,
                finished=None,
                code="",
                reason="",
                output="",
                enrolment_key_id=None,
                agent_id=None,
                changed=None,
            )
            await self._parts.store.writer.submit(BEGIN, Beginning(row=row, by=by, told=_told(body, via)))
            begun = asyncio.Event()
            task = self._tasks.start(course.id, self._carry_out(course, body, by, place, begun))
        except BaseException:
            self._forget(course, place)
            raise
        self._running[course.id] = task
        task.add_done_callback(lambda _: self._forget(course, place))
        # Until then it could not be cancelled in good order, and nobody knows its id.
        await begun.wait()
        return course

    def _forget(self, course: Course, place: str) -> None:
        if self._hosts.get(place) == course.id:
            del self._hosts[place]
        self._courses.pop(course.id, None)
        self._running.pop(course.id, None)
        if not course.is_over:
            course.end(_complete(_why_cancelled(course), course, None))

    async def cancel(self, deployment_id: str, by: Actor) -> DeploymentView:
        """End a deployment; what was done is undone. Raises NotFound, Conflict when it is over."""
        course = self._courses.get(DeploymentId(deployment_id))
        view = await self.one(deployment_id)
        if course is None or course.is_over:
            raise Conflict("This deployment is over already.", state=view.state.value)
        await self._parts.store.writer.submit(CANCEL, Cancellation(id=course.id, by=by))
        if not course.cancelled_by:
            course.cancelled_by = by.name
            if (task := self._running.get(course.id)) is not None and not course.is_ending:
                task.cancel()
        return await self.one(deployment_id)

    async def one(self, deployment_id: str) -> DeploymentView:
        """Show a deployment. Raises NotFound."""
        async with self._parts.store.read() as conn:
            row = await rows.deployment(conn, deployment_id)
        return self._view(row)

    async def find(self, *, limit: int, before: str | None) -> list[DeploymentView]:
        """List deployments, newest first."""
        async with self._parts.store.read() as conn:
            found = await rows.page(conn, limit=limit, before=before)
        return [self._view(row) for row in found]

    def course(self, deployment_id: str) -> Course | None:
        """Return the course of a deployment that is under way here."""
        return self._courses.get(DeploymentId(deployment_id))

    def _view(self, row: DeploymentRow) -> DeploymentView:
        course = self._courses.get(row.id)
        steps = course.notes if course is not None else msgspec.convert(row.steps, list[StepNote])
        step = course.step if course is not None and course.step is not None else row.step
        return DeploymentView(
            id=row.id,
            host=row.host,
            port=row.port,
            ssh_user=row.ssh_user,
            via=row.via,
            label=row.label,
            state=row.state,
            step=step,
            steps=list(steps),
            created=row.created,
            created_by=row.created_by_name,
            finished=row.finished,
            code=row.code,
            reason=row.reason,
            output=row.output,
            agent_id=row.agent_id,
            changed=row.changed,
        )

    # --- carrying one out

    async def _carry_out(
        self, course: Course, body: DeployBody, by: Actor, place: str, begun: asyncio.Event
    ) -> None:
        async def note_key(key_id: KeyId) -> None:
            await self._note(course, key_id)

        errand = Errand(self._parts, body, by, course, note_key=note_key)
        outcome: Deployed | OutriderError
        begun.set()
        try:
            async with self._turns, Tasks(f"{course.id} notes") as tasks:
                tasks.spawn("notes", self._keep_notes(course))
                outcome = await errand.run()
        except asyncio.CancelledError:
            outcome = errand.done or _why_cancelled(course)
        except OutriderError as error:
            outcome = error
        except Exception as error:
            log.exception("a deployment failed for a fault of ours", deployment_id=course.id)
            outcome = DeployFault(f"The center has a fault ({type(error).__name__}); its log says more.")
        if isinstance(outcome, OutriderError):
            outcome = _complete(outcome, course, errand)
        course.is_ending = True
        course.conclude(outcome)
        await self._write_end(course, by, outcome)
        # Whoever hears of the end may begin anew.
        del self._hosts[place]
        course.end(outcome)

    async def _write_end(self, course: Course, by: Actor, outcome: Deployed | OutriderError) -> None:
        """Write down how it ended. While the database is away it is tried again: nothing is told before."""
        ending = _ending(course, by, outcome)
        while True:
            try:
                await self._parts.store.writer.submit(END, ending)
            except Unavailable as error:
                log.warning("the end of a deployment can't be written yet", id=course.id, reason=error.detail)
                await self._parts.clock.sleep(_SETTLE_AGAIN)
            else:
                return

    async def _keep_notes(self, course: Course) -> None:
        """Write down how far it is, whenever it has gone on."""
        with course.watched() as news:
            while True:
                news.clear()
                try:
                    await self._note(course)
                except Unavailable as error:
                    log.warning("a deployment's steps can't be kept now", id=course.id, reason=error.detail)
                await news.wait()

    async def _note(self, course: Course, key_id: KeyId | None = None) -> None:
        progress = Progress(
            id=course.id,
            state=DeploymentState.RUNNING,
            step=course.step,
            steps=msgspec.to_builtins(course.notes),
            enrolment_key_id=key_id,
        )
        await self._parts.store.writer.submit(PROGRESS, progress)

    # --- host keys

    async def host_keys(self, *, limit: int, after: str | None, host: str | None) -> list[HostKeyView]:
        """List the host keys that are remembered."""
        async with self._parts.store.read() as conn:
            found = await rows.host_keys(
                conn, limit=limit, after=after, host=None if host is None else normal_host(host)
            )
        return [_key_view(row) for row in found]

    async def forget_host_key(self, key_id: str, by: Actor) -> None:
        """Forget a host key: the next one that its host shows is trusted. Raises NotFound."""
        await self._parts.store.writer.submit(FORGET, Forgetting(id=HostKeyId(key_id), by=by))


def _told(body: DeployBody, via: str) -> dict[str, Any]:
    """Say of a deployment what the audit log keeps: everything but secrets."""
    return {
        "host": body.host,
        "port": body.ssh_port,
        "user": body.ssh_user,
        "via": via,
        "label": body.label,
        "tags": body.tags,
        "adopt": body.adopt,
        "center_url": body.center_url,
        "signs_in_with": body.means,
        # The name of the file, which is of the center's own machine.
        "key_file": body.ssh_key,
        "sudo": body.sudo_password is not None,
    }


def _why_cancelled(course: Course) -> OutriderError:
    if course.cancelled_by:
        return DeployCancelled(f"Cancelled by {course.cancelled_by}.")
    return DeployInterrupted(_cut_off(None))


def _cut_off(agent_id: AgentId | None) -> str:
    agent = (
        f" Its agent {agent_id} had enrolled, and may be online."
        if agent_id
        else " What was begun on the host is undone there."
    )
    return f"The center was stopped in the middle of it.{agent} Deploy again: what is there already is kept."


def _complete(error: OutriderError, course: Course, errand: Errand | None) -> OutriderError:
    """Give an error the facts that every end of a deployment has."""
    step = str(error.fields.get("step") or course.step or "")
    output = str(error.fields.get("output") or (errand.output if errand else ""))
    if step and step != course.step:
        course.step = DeployStep(step)
    fields = {**error.fields, "step": step, "output": output, "deployment_id": course.id}
    return type(error)(error.detail, **fields)


def _ending(course: Course, by: Actor, outcome: Deployed | OutriderError) -> Ending:
    steps = msgspec.to_builtins(course.notes)
    if isinstance(outcome, Deployed):
        return Ending(
            id=course.id,
            by=by,
            state=DeploymentState.DEPLOYED,
            step=course.step,
            steps=steps,
            agent_id=outcome.agent_id,
            changed=outcome.changed,
        )
    state = {
        DeployCancelled.code: DeploymentState.CANCELLED,
        DeployInterrupted.code: DeploymentState.INTERRUPTED,
    }.get(outcome.code, DeploymentState.FAILED)
    return Ending(
        id=course.id,
        by=by,
        state=state,
        step=course.step,
        steps=steps,
        code=outcome.code,
        reason=outcome.detail,
        output=str(outcome.fields.get("output", "")),
    )


def _key_view(row: HostKeyRow) -> HostKeyView:
    return HostKeyView(
        id=row.id,
        host=row.host,
        port=row.port,
        via=row.via,
        algorithm=row.key.algorithm,
        fingerprint=row.key.fingerprint,
        key=row.key.text,
        remembered=row.remembered,
        remembered_by=row.remembered_by,
    )
