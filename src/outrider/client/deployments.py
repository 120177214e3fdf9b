"""Deployments of agents over SSH, and the host keys that the center remembers."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.client.answers import Reconnecting
from outrider.client.asking import PAGE, STREAM_PATIENCE, Asking, each, pages, part
from outrider.client.transport import Interruption
from outrider.domain.deployments import DEPLOYMENT
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection


class SshAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How the center reaches an SSH server and signs in there; keys are tried before the password.

    `key_path` is a file at the center, `key_text` the text of a private key, `agent` the SSH agent of the
    center's process. `known_host` names the host's key: lines of known_hosts, public keys or fingerprints.
    """

    host: str
    user: str = "root"
    port: int = 22
    key_path: str | None = None
    key_text: str | None = None
    passphrase: str | None = None
    password: str | None = None
    agent: bool = False
    known_host: str | None = None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"SshAccess(host={self.host!r}, user={self.user!r}, port={self.port})"

    def body(self) -> dict[str, Any]:
        """Return it as the API has it."""
        said = {
            "ssh_key": self.key_path,
            "ssh_key_text": self.key_text,
            "ssh_passphrase": self.passphrase,
            "ssh_password": self.password,
            "ssh_agent": self.agent or None,
            "known_host": self.known_host,
        }
        given = {name: value for name, value in said.items() if value is not None}
        return {"host": self.host, "ssh_user": self.user, "ssh_port": self.port, **given}


class DeploymentStep(msgspec.Struct, frozen=True, kw_only=True):
    """What was told of a step: `state` is `begun`, `note`, `done` or `failed`."""

    step: str
    state: str
    time: float = 0.0
    detail: str = ""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment. Times are unix seconds.

    `state` is `waiting`, `running`, `deployed`, `failed`, `cancelled` or `interrupted`; `step` is where it is
    or failed, `code` and `reason` say why, `output` is what the host said.
    """

    id: str
    host: str = ""
    port: int = 22
    ssh_user: str = ""
    via: str = ""
    label: str = ""
    state: str
    step: str | None = None
    steps: list[DeploymentStep] = []
    created: float | None = None
    created_by: str = ""
    finished: float | None = None
    code: str = ""
    reason: str = ""
    output: str = ""
    agent_id: AgentId | None = None
    changed: bool | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more will come of it."""
        return self.state in _FINAL


DeployProgress = DeploymentStep | Reconnecting | Deployment
"""What following a deployment gives: its steps as they come, and last the deployment itself."""


class SshHostKey(msgspec.Struct, frozen=True, kw_only=True):
    """An SSH host key that the center remembers: another one is refused."""

    id: str
    host: str
    port: int = 22
    via: str = ""
    algorithm: str = ""
    fingerprint: str = ""
    key: str = ""
    remembered: float | None = None
    remembered_by: str = ""


class _Gone(msgspec.Struct, frozen=True):
    detail: str = ""


_FINAL: Final = frozenset(state.value for state in DEPLOYMENT.final)
_PATH: Final = "/api/deployments"
_KEYS: Final = "/api/agents/host-keys"


class Deployments(Asking):
    """The methods about deployments."""

    async def deploy(
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
        """Bring the agent to a host, and wait for the end: its `state` says how it went.

        The agent key that the API's own answer tells is not told here: nobody but the host needs it.
        """
        begun = await self.begin_deployment(
            access,
            label=label,
            tags=tags,
            sudo_password=sudo_password,
            jump=jump,
            adopt=adopt,
            center_url=center_url,
        )
        async with aclosing(self.follow_deployment(begun.id)) as progress:
            async for step in progress:
                if isinstance(step, Deployment):
                    return step
        raise AssertionError("following a deployment ends with it")

    async def begin_deployment(
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
        """Begin to bring the agent to a host, as `user` who is root or becomes it with sudo.

        `jump` is a host that the way leads through; without credentials of its own the host's are used.
        `adopt` takes over an agent that was installed by hand. `center_url` is the center's address as the
        host reaches it. The request is not repeated: raises CenterAway when nobody knows if it came.
        """
        said: dict[str, Any] = {
            "sudo_password": sudo_password,
            "jump": jump.body() if jump else None,
            "center_url": center_url,
        }
        body = {
            **access.body(),
            "label": label,
            "tags": list(tags),
            "adopt": adopt,
            **{name: value for name, value in said.items() if value is not None},
        }
        return await self._transport().ask(
            "POST", "/api/agents/deploy", Deployment, query={"wait": "false"}, body=body
        )

    async def deployments(self, *, page: int = PAGE) -> AsyncGenerator[Deployment, None]:
        """All deployments that are kept, newest first."""
        async with aclosing(each(pages(self, _PATH, Deployment, {"limit": page}))) as found:
            async for deployment in found:
                yield deployment

    async def deployment(self, deployment_id: str) -> Deployment:
        """One deployment with its steps. Raises NotFound."""
        return await self._transport().ask("GET", _one(deployment_id), Deployment, repeatable=True)

    async def cancel_deployment(self, deployment_id: str) -> Deployment:
        """End a deployment: what was done is undone. Raises Conflict when it is over."""
        return await self._transport().ask("POST", _one(deployment_id) + "/cancel", Deployment)

    async def follow_deployment(
        self, deployment_id: str, *, patience: float | None = STREAM_PATIENCE
    ) -> AsyncGenerator[DeployProgress, None]:
        """Follow a deployment to its end; the last that is given is the Deployment."""
        transport = self._transport()
        path = _one(deployment_id) + "/stream"
        async with aclosing(transport.stream(path, patience=patience)) as events:
            async for event in events:
                if isinstance(event, Interruption):
                    yield Reconnecting(reason=event.reason, seconds=event.seconds)
                elif event.event == "step":
                    yield transport.decode(event.data, DeploymentStep, path)
                elif event.event == "end":
                    yield transport.decode(event.data, Deployment, path)
                    return
                elif event.event == "gone":
                    raise NotFound(transport.decode(event.data, _Gone, path).detail or "It is gone.")

    async def ssh_host_keys(self, *, host: str | None = None) -> list[SshHostKey]:
        """The SSH host keys that the center remembers; with `host` those of that name or address."""
        query = {"host": host, "limit": PAGE}
        return [key async for page in pages(self, _KEYS, SshHostKey, query) for key in page]

    async def forget_ssh_host_key(self, key_id: str) -> None:
        """Forget a host key: the next one that its host shows is trusted. Raises NotFound."""
        await self._transport().fetch("DELETE", f"{_KEYS}/{part(key_id)}")


def _one(deployment_id: str) -> str:
    return f"{_PATH}/{part(deployment_id)}"
