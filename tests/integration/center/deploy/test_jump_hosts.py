"""The way to a host leads through another machine: each hop is told apart, and nothing is left on either."""

from typing import Any

import pytest

from outrider.center.deploy.wishes import SshBody
from outrider.domain.deployments import DeployFailed, HostKeyRefused, SshDenied
from tests.fixtures.center import OwnCenter
from tests.fixtures.ssh_host import OTHER_KEY, JumpHost, SshHost, changed
from tests.integration.center.deploy.deploying import ADMIN, Deploying, deploying
from tests.integration.center.deploy.test_signing_in import SAYS_WHO, is_refused, keys_alive, signs_in


def by_way_of(jump: JumpHost, **changes: Any) -> dict[str, Any]:
    """What a deployment says of a host behind a jump host; `changes` are of how we sign in there."""
    way: dict[str, Any] = {"host": jump.address, "ssh_user": "plain", **changes}
    return {"host": jump.behind, "ssh_user": "free", "jump": SshBody(**way)}


async def remembered(work: Deploying) -> dict[tuple[str, str], str]:
    """The id of each host key that is remembered, by its host and the way there."""
    keys = await work.service.host_keys(limit=10, after=None, host=None)
    return {(key.host, key.via): key.id for key in keys}


async def test_the_way_leads_through_a_jump_host(
    own: OwnCenter, ssh_host: SshHost, jump_host: JumpHost
) -> None:
    """It signs in there with its own credentials or the host's; each has a host key of its own."""
    async with deploying(own, SAYS_WHO) as work:
        await signs_in(work, ssh_host, **by_way_of(jump_host))
        assert f"for free from {jump_host.own}" in ssh_host.said
        assert "for plain from" in jump_host.said
        via = f"{jump_host.address}:22"
        assert set(await remembered(work)) == {(jump_host.address, ""), (jump_host.behind, via)}
        wrong = by_way_of(jump_host, ssh_key_text=OTHER_KEY)
        await is_refused(work, ssh_host, SshDenied, "The jump host: .*plain", "connect", **wrong)
        assert jump_host.left_behind() == []


async def test_the_agent_is_brought_through_a_jump_host(
    own: OwnCenter, ssh_host: SshHost, jump_host: JumpHost
) -> None:
    """All the way to the end; nothing is left on either machine."""
    async with deploying(own) as work:
        course = await work.begin(ssh_host, **by_way_of(jump_host))
        async with work.agent_of(ssh_host) as agent:
            assert (await course.outcome()).agent_id == agent.id
        await ssh_host.gone()
        assert jump_host.left_behind() == []


async def test_which_hop_is_not_passed(own: OwnCenter, ssh_host: SshHost, jump_host: JumpHost) -> None:
    """A jump host that refuses to pass connections on, one that reaches no SSH server, one that is down."""
    way = by_way_of(jump_host)
    async with deploying(own, SAYS_WHO) as work:
        refuse = "echo 'AllowTcpForwarding no' > {0}"
        async with changed(jump_host, refuse, "rm {0}", "/etc/ssh/sshd_config.d/0.conf"):
            await jump_host.stop()
            await jump_host.start()
            match = "The jump host does not pass connections on.*AllowTcpForwarding"
            await is_refused(work, ssh_host, DeployFailed, match, "connect", **way)
        await jump_host.stop()
        await jump_host.start()
        closed = {**way, "ssh_port": 1}
        match = "The jump host reaches no SSH server at the host: .*refused"
        await is_refused(work, ssh_host, DeployFailed, match, "connect", **closed)
        await jump_host.stop()
        match = "The jump host: No connection.*refused"
        await is_refused(work, ssh_host, DeployFailed, match, "connect", **way)


async def test_which_hop_shows_another_key(own: OwnCenter, ssh_host: SshHost, jump_host: JumpHost) -> None:
    """Each is recognised by itself, and the host behind only by the way that leads there."""
    way = by_way_of(jump_host)
    via = f"{jump_host.address}:22"
    async with deploying(own, SAYS_WHO) as work:
        await signs_in(work, ssh_host, **way)
        await jump_host.renew_key()
        match = f"The jump host: {jump_host.address}:22 shows another key than before"
        error = await is_refused(work, ssh_host, HostKeyRefused, match, "connect", **way)
        assert error.fields["seen"] == jump_host.key.fingerprint
        known = await remembered(work)
        await work.service.forget_host_key(known[jump_host.address, ""], ADMIN)
        await signs_in(work, ssh_host, **way)
        await ssh_host.renew_key()
        match = f"^{jump_host.behind}:22 .*{via}.* shows another key than before"
        await is_refused(work, ssh_host, HostKeyRefused, match, "connect", **way)


async def test_a_jump_host_that_dies_on_the_way(
    own: OwnCenter, ssh_host: SshHost, jump_host: JumpHost
) -> None:
    """The host behind undoes by itself what was begun there."""
    async with deploying(own) as work:
        work.supply.flows.clear()
        course = await work.begin(ssh_host, **by_way_of(jump_host))
        await work.supply.is_flowing.wait()
        await jump_host.cut_connections()
        work.supply.flows.set()
        with pytest.raises(DeployFailed, match=r"hung up|connection to the host broke") as failure:
            await course.outcome()
        assert failure.value.fields["step"] == "copy"
        assert await keys_alive(work) == []
        await ssh_host.gone()
