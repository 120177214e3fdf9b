"""Deployments that are cut off: cancelled at each step, a connection that breaks, a center that stops."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import pytest

from outrider.center.deploy.contact import Patience
from outrider.center.deploy.progress import Course
from outrider.center.deploy.rows import DeploymentRow
from outrider.center.deploy.service import AT_ONCE
from outrider.center.deploy.writes import BEGIN, PROGRESS, Beginning, Progress
from outrider.domain.deployments import (
    DeployCancelled,
    DeployFailed,
    DeployInterrupted,
    DeploymentState,
    DeployStep,
    DeployUnderWay,
)
from outrider.domain.errors import Conflict
from outrider.domain.ids import KeyId, new_deployment_id
from tests.fixtures.center import OwnCenter
from tests.fixtures.links import enrolment
from tests.fixtures.ssh_host import SshHost, changed
from tests.integration.center.deploy.deploying import ADMIN, GOES_WELL, Deploying, deploying
from tests.integration.center.deploy.test_host_trouble import (
    QUICK,
    NeverDecides,
    begin_at,
    hostile,
    never_speaks,
    runs_nothing,
    serving,
)
from tests.integration.center.deploy.test_signing_in import keys_alive

WAITS_AT: Final = """
say("{step}", "begun")
while True:
    time.sleep(0.05)
"""


async def reached(course: Course, holds: Callable[[Course], bool]) -> None:
    """Wait until a deployment has come so far."""
    with course.watched() as news:
        async with asyncio.timeout(20):
            while not holds(course):
                news.clear()
                await news.wait()


async def is_cancelled(work: Deploying, course: Course, step: str) -> None:
    """Cancel it, and see that it has ended so, with nothing left here."""
    await work.service.cancel(course.id, ADMIN)
    with pytest.raises(DeployCancelled, match="Cancelled by the_admin") as failure:
        await course.outcome()
    assert failure.value.fields["step"] == step
    view = await work.service.one(course.id)
    assert (view.state, view.step or "") == (DeploymentState.CANCELLED, step)
    assert await keys_alive(work) == []
    assert await work.own.api.get("/api/agents") == []
    with pytest.raises(Conflict, match="over already"):
        await work.service.cancel(course.id, ADMIN)


async def test_cancelled_while_it_connects(own: OwnCenter) -> None:
    """A host that never answers is left at once."""
    async with serving(never_speaks) as port, deploying(own) as work:
        course = await begin_at(work, port)
        await reached(course, lambda each: each.step is DeployStep.CONNECT)
        await is_cancelled(work, course, "connect")


async def test_cancelled_while_we_sign_in(own: OwnCenter) -> None:
    """A host that never decides is left at once."""
    async with hostile(NeverDecides, runs_nothing) as port, deploying(own) as work:
        course = await begin_at(work, port)
        await reached(course, lambda each: each.step is DeployStep.AUTHENTICATE)
        await is_cancelled(work, course, "authenticate")


async def test_cancelled_while_the_host_is_looked_at(own: OwnCenter, ssh_host: SshHost) -> None:
    """A sudo that does not answer is left at once; it ends there, too."""
    silent = "mv {0} {0}.away; printf '#!/bin/sh\\nexec cat >/dev/null' > {0}; chmod +x {0}"
    async with deploying(own) as work, changed(ssh_host, silent, "mv {0}.away {0}", "/usr/bin/sudo"):
        course = await work.begin(ssh_host, ssh_user="free")
        async with asyncio.timeout(20):
            while "cat" not in ssh_host.bare.processes():  # noqa: ASYNC110 - a process sends no event
                await asyncio.sleep(0.01)
        await is_cancelled(work, course, "preflight")
        await ssh_host.gone()


async def test_cancelled_while_the_agent_is_copied(own: OwnCenter, ssh_host: SshHost) -> None:
    """The part that was sent is removed there."""
    async with deploying(own) as work:
        work.supply.flows.clear()
        course = await work.begin(ssh_host)
        await work.supply.is_flowing.wait()
        await is_cancelled(work, course, "copy")
        await ssh_host.gone()


@pytest.mark.parametrize("step", ["unpack", "start", "online"])
async def test_cancelled_while_the_installer_works(own: OwnCenter, ssh_host: SshHost, step: str) -> None:
    """The installer undoes what it did, however far it is; the agent that enrolled is deleted."""
    async with deploying(own, WAITS_AT.format(step=step)) as work:
        course = await work.begin(ssh_host)
        shown = "copy" if step == "unpack" else step
        if step == "online":
            async with work.agent_of(ssh_host):
                await reached(course, lambda each: each.step == shown)
                await is_cancelled(work, course, shown)
        else:
            await work.told(ssh_host)
            await reached(course, lambda each: each.step == shown)
            await is_cancelled(work, course, shown)
        await ssh_host.gone()
        assert not (ssh_host.bare.root / "root/made").exists()


UNDOES_SLOWLY: Final = """
def undo(*_):
    while not os.path.exists("/root/online"):
        time.sleep(0.02)
    os.unlink("/root/made")
    sys.exit(1)
signal.signal(signal.SIGTERM, undo)
while True:
    time.sleep(0.05)
"""
"""One that is silent, and whose undoing takes until the test says so."""


async def undoing(work: Deploying, host: SshHost) -> Course:
    """Begin a deployment that fails; return while the host undoes it."""
    course = await work.begin(host)
    await work.told(host)
    async with asyncio.timeout(20):
        while not course.is_ending:  # noqa: ASYNC110 - nobody is told of that
            await asyncio.sleep(0.01)
    return course


async def test_cancelled_while_a_failed_one_is_undone(own: OwnCenter, ssh_host: SshHost) -> None:
    """It fails as it would have: nothing breaks off what tidies up."""
    async with deploying(own, UNDOES_SLOWLY, patience=Patience(silence=0.5)) as work:
        course = await undoing(work, ssh_host)
        await work.service.cancel(course.id, ADMIN)
        (ssh_host.bare.root / "root/online").touch()
        with pytest.raises(DeployFailed, match="says nothing any more"):
            await course.outcome()
        assert await keys_alive(work) == []
        await ssh_host.gone()
        assert not (ssh_host.bare.root / "root/made").exists()


async def test_a_center_that_is_stopped_while_a_failed_one_is_undone(
    own: OwnCenter, ssh_host: SshHost
) -> None:
    """Its key is ended before the center goes; the host undoes the rest by itself."""
    async with deploying(own, UNDOES_SLOWLY, patience=Patience(silence=0.5)) as work:
        course = await undoing(work, ssh_host)
    assert (await work.service.one(course.id)).state is DeploymentState.INTERRUPTED
    assert await keys_alive(work) == []
    (ssh_host.bare.root / "root/online").touch()
    await ssh_host.gone()
    assert not (ssh_host.bare.root / "root/made").exists()


async def test_an_installer_that_does_not_let_itself_be_ended(own: OwnCenter, ssh_host: SshHost) -> None:
    """Who cancels is told that the host has not said it is tidied up."""
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITS_AT.format(step="start")
    async with deploying(own, script, patience=QUICK) as work:
        course = await work.begin(ssh_host)
        await reached(course, lambda each: each.step is DeployStep.START)
        await is_cancelled(work, course, "start")
        assert any("did not say" in note.detail for note in course.notes)


async def test_a_connection_that_breaks_during_the_copy(own: OwnCenter, ssh_host: SshHost) -> None:
    """The host removes what it has, and the answer says that it broke."""
    async with deploying(own) as work:
        work.supply.flows.clear()
        course = await work.begin(ssh_host)
        await work.supply.is_flowing.wait()
        await ssh_host.cut_connections()
        work.supply.flows.set()
        with pytest.raises(DeployFailed, match=r"hung up|connection to the host broke") as failure:
            await course.outcome()
        assert failure.value.fields["step"] == "copy"
        await ssh_host.gone()


async def test_a_connection_that_breaks_before_the_agent_was_started(
    own: OwnCenter, ssh_host: SshHost
) -> None:
    """The installer undoes what it did."""
    async with deploying(own, WAITS_AT.format(step="unpack")) as work:
        course = await work.begin(ssh_host)
        await work.told(ssh_host)
        await reached(course, lambda each: len(each.notes) > 0 and each.step is DeployStep.COPY)
        await ssh_host.cut_connections()
        with pytest.raises(DeployFailed, match="undoes by itself"):
            await course.outcome()
        await ssh_host.gone()
        assert not (ssh_host.bare.root / "root/made").exists()
        assert await keys_alive(work) == []


async def test_a_connection_that_breaks_once_the_agent_was_started(own: OwnCenter, ssh_host: SshHost) -> None:
    """The installer goes on by itself, and its agent is waited for."""
    async with deploying(own, GOES_WELL) as work:
        course = await work.begin(ssh_host)
        await reached(course, lambda each: each.step is DeployStep.ONLINE)
        await ssh_host.cut_connections()
        await reached(course, lambda each: "by itself" in each.notes[-1].detail)
        async with work.agent_of(ssh_host) as agent:
            done = await course.outcome()
        assert (done.agent_id, done.key) == (agent.id, agent.key)
        await ssh_host.gone()


async def test_a_connection_that_breaks_and_no_agent_comes(own: OwnCenter, ssh_host: SshHost) -> None:
    """The key dies, so that the installer there fails and undoes what it did."""
    async with deploying(own, WAITS_AT.format(step="online"), patience=QUICK) as work:
        course = await work.begin(ssh_host)
        await reached(course, lambda each: each.step is DeployStep.ONLINE)
        await ssh_host.cut_connections()
        with pytest.raises(DeployFailed, match="has not come online"):
            await course.outcome()
        assert await keys_alive(work) == []


async def test_a_center_that_is_stopped_in_the_middle(own: OwnCenter, ssh_host: SshHost) -> None:
    """Who waits is told; the host undoes what was begun; it is written down as interrupted."""
    async with deploying(own, WAITS_AT.format(step="unpack")) as work:
        course = await work.begin(ssh_host)
        await work.told(ssh_host)
    with pytest.raises(DeployInterrupted, match="stopped in the middle"):
        await course.outcome()
    await ssh_host.gone()
    async with deploying(own) as work:
        view = await work.service.one(course.id)
        assert (view.state, view.code) == (DeploymentState.INTERRUPTED, "deploy_interrupted")
        assert await keys_alive(work) == []


async def test_only_one_deployment_a_host_at_once(own: OwnCenter, ssh_host: SshHost) -> None:
    """A second one for the same host is refused, and names the first."""
    async with deploying(own, WAITS_AT.format(step="unpack")) as work:
        course = await work.begin(ssh_host)
        with pytest.raises(DeployUnderWay, match=course.id):
            await work.begin(ssh_host)
        await is_cancelled(work, course, course.step or "")


async def test_many_at_once_are_bounded(own: OwnCenter) -> None:
    """So many are at work at once; the others wait for their turn, and can be cancelled before it comes."""
    async with AsyncExitStack() as stack, deploying(own) as work:
        ports = [await stack.enter_async_context(serving(never_speaks)) for _ in range(AT_ONCE + 2)]
        courses = [await begin_at(work, port) for port in ports]
        for course in courses[:AT_ONCE]:
            await reached(course, lambda each: each.step is DeployStep.CONNECT)
        assert [each.step for each in courses[AT_ONCE:]] == [None, None]
        assert (await work.service.one(courses[-1].id)).state is DeploymentState.WAITING
        await is_cancelled(work, courses[-1], "")
        await is_cancelled(work, courses[0], "connect")
        await reached(courses[-2], lambda each: each.step is DeployStep.CONNECT)
        for course in courses[1:-1]:
            await is_cancelled(work, course, "connect")


async def test_a_center_that_was_killed_in_the_middle(own: OwnCenter) -> None:
    """Its next start marks what nobody is at work on, says which agent had come of it, and ends its key."""
    row = DeploymentRow(
        id=new_deployment_id(1.0),
        host="10.0.0.1",
        port=22,
        ssh_user="root",
        via="",
        label="",
        state=DeploymentState.RUNNING,
        step=DeployStep.ONLINE,
        steps=[],
        created=1.0,
        created_by=ADMIN.id,
        created_by_name=ADMIN.name,
        finished=None,
        code="",
        reason="",
        output="",
        enrolment_key_id=None,
        agent_id=None,
        changed=None,
    )
    key = await own.center.fleet.make_key(by=ADMIN, approve=True)
    answer = await own.api.post("/api/agents/enrol", enrolment(key.key), role=None)
    writer = own.center.store.writer
    await writer.submit(BEGIN, Beginning(row=row, by=ADMIN, told={}))
    told = Progress(id=row.id, state=row.state, step=row.step, steps=[], enrolment_key_id=KeyId(key.id))
    await writer.submit(PROGRESS, told)
    async with deploying(own) as work:
        await work.service.settle()
        view = await work.service.one(row.id)
    assert (view.state, view.step, view.agent_id) == (
        DeploymentState.INTERRUPTED,
        DeployStep.ONLINE,
        answer["agent_id"],
    )
    assert answer["agent_id"] in view.reason
    assert [each.revoked for each in await own.center.fleet.list_keys()] == [True]
    assert (await own.api.get(f"/api/agents/{answer['agent_id']}"))["id"] == answer["agent_id"]
