"""A deployment that goes well, over a real sshd."""

from outrider.domain.deployments import DeploymentState
from tests.fixtures.center import OwnCenter
from tests.fixtures.ssh_host import SshHost
from tests.integration.center.deploy.deploying import deploying


async def test_the_agent_is_brought_to_a_host(own: OwnCenter, ssh_host: SshHost) -> None:
    """The answer has the agent and its key; nothing but what was installed is left on the host."""
    async with deploying(own) as work:
        course = await work.begin(ssh_host, tags=["web"])
        async with work.agent_of(ssh_host) as agent:
            done = await course.outcome()
        assert (done.agent_id, done.key, done.changed) == (agent.id, agent.key, True)
        view = await work.service.one(course.id)
        assert view.state is DeploymentState.DEPLOYED
        assert [note.step.value for note in view.steps if note.state == "done"] == [
            *("connect", "authenticate", "preflight", "copy", "start", "online")
        ]
        assert ssh_host.left_behind() == []
        shown = await own.api.get(agent.path)
        assert (shown["label"], shown["tags"], shown["status"]) == ("web-1", ["web"], "online")
