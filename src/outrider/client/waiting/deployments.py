"""The methods of `outrider.client.deployments`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.asking import STREAM_PATIENCE
from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from outrider.client.deployments import Deployment, DeployProgress, SshAccess, SshHostKey


class WaitingDeployments(Waiting):
    """The methods of Deployments in `outrider.client.deployments`; they promise and raise the same."""

    def deploy(
        self,
        access: SshAccess,
        *,
        label: str = "",
        tags: Collection[str] = (),
        sudo_password: str | None = None,
        jump: SshAccess | None = None,
        adopt: bool = False,
        center_url: str | None = None,
    ) -> Deployment:
        """Bring the agent to a host over SSH, and wait for the end: its `state` says how it went."""
        return self._wait(
            self._center.deploy(
                access,
                label=label,
                tags=tags,
                sudo_password=sudo_password,
                jump=jump,
                adopt=adopt,
                center_url=center_url,
            )
        )

    def begin_deployment(
        self,
        access: SshAccess,
        *,
        label: str = "",
        tags: Collection[str] = (),
        sudo_password: str | None = None,
        jump: SshAccess | None = None,
        adopt: bool = False,
        center_url: str | None = None,
    ) -> Deployment:
        """Begin to bring the agent to a host over SSH."""
        return self._wait(
            self._center.begin_deployment(
                access,
                label=label,
                tags=tags,
                sudo_password=sudo_password,
                jump=jump,
                adopt=adopt,
                center_url=center_url,
            )
        )

    def deployments(self, *, page: int = 1000) -> Iterator[Deployment]:
        """All deployments that are kept, newest first."""
        return self._each(self._center.deployments(page=page))

    def deployment(self, deployment_id: str) -> Deployment:
        """One deployment with its steps. Raises NotFound."""
        return self._wait(self._center.deployment(deployment_id))

    def cancel_deployment(self, deployment_id: str) -> Deployment:
        """End a deployment: what was done is undone. Raises Conflict when it is over."""
        return self._wait(self._center.cancel_deployment(deployment_id))

    def follow_deployment(
        self, deployment_id: str, *, patience: float | None = STREAM_PATIENCE
    ) -> Iterator[DeployProgress]:
        """Follow a deployment to its end; the last that is given is the Deployment."""
        return self._each(self._center.follow_deployment(deployment_id, patience=patience))

    def ssh_host_keys(self, *, host: str | None = None) -> list[SshHostKey]:
        """The SSH host keys that the center remembers."""
        return self._wait(self._center.ssh_host_keys(host=host))

    def forget_ssh_host_key(self, key_id: str) -> None:
        """Forget a host key: the next one that its host shows is trusted. Raises NotFound."""
        self._wait(self._center.forget_ssh_host_key(key_id))
