"""Deployments: the agent brought to a host over SSH. Their steps, their states, and what can go wrong.

What the request can mend is Invalid (400) or a Conflict (409); what is wrong with the host, or on the way
there, is a HostFault (502). Each error of a deployment that has begun has in its `fields` the `step` that
failed, the remote `output`, and the `deployment_id`.
"""

from enum import StrEnum
from typing import Final

from outrider.domain.errors import Conflict, HostFault, Invalid, Unavailable
from outrider.domain.transitions import Transitions


class DeployStep(StrEnum):
    """The steps of a deployment, in their order."""

    CONNECT = "connect"
    """To the host's SSH port, until its key is known and admitted."""
    AUTHENTICATE = "authenticate"
    """With a key, a password or an SSH agent."""
    PREFLIGHT = "preflight"
    """Becoming root, and whether the host can run the agent."""
    COPY = "copy"
    """The bundle is sent, checked, unpacked and configured."""
    START = "start"
    """The agent's service is started."""
    ONLINE = "online"
    """The agent has enrolled and is connected."""


class DeploymentState(StrEnum):
    """Where a deployment stands."""

    WAITING = "waiting"
    """For its turn: so many are at work at once."""
    RUNNING = "running"
    DEPLOYED = "deployed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The center was stopped or killed in the middle of it."""


DEPLOYMENT: Final = Transitions(
    DeploymentState,
    {
        DeploymentState.WAITING: (
            DeploymentState.RUNNING,
            DeploymentState.FAILED,
            DeploymentState.CANCELLED,
            DeploymentState.INTERRUPTED,
        ),
        DeploymentState.RUNNING: (
            DeploymentState.DEPLOYED,
            DeploymentState.FAILED,
            DeploymentState.CANCELLED,
            DeploymentState.INTERRUPTED,
        ),
    },
)


class DeployFailed(HostFault):
    """A deployment failed at the host, or on the way there. `fields`: step, output, deployment_id."""

    code = "deploy_failed"


class SshKeyUnusable(Invalid):
    """A private key can't be read, has another passphrase, or lies where none is taken. `fields`: field."""

    code = "ssh_key_unusable"


class SshDenied(Invalid):
    """The host does not let this user in with what was given."""

    code = "ssh_denied"


class SudoDenied(Invalid):
    """The user can't become root on the host: no sudo, not allowed to, or a wrong password."""

    code = "sudo_denied"


class HostKeyRefused(Conflict):
    """The host shows another key than the one that is remembered, or was given. `fields`: seen, known."""

    code = "host_key_refused"


class DeployUnderWay(Conflict):
    """The host is being deployed to already. `fields`: deployment_id."""

    code = "deploy_under_way"


class DeployCancelled(Conflict):
    """The deployment was cancelled."""

    code = "deploy_cancelled"


class DeployInterrupted(Unavailable):
    """The center was stopped in the middle of the deployment."""

    code = "deploy_interrupted"
