"""A bare host that the center reaches over SSH, and how it is asked to bring the agent there."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest_asyncio

from outrider.bootstrap.target import Target
from tests.fixtures.api import Answer, Api, EventStream
from tests.fixtures.bare_host import BareHost
from tests.fixtures.ssh_host import KEY, PASSWORD, SshHost, running_ssh_host, set_up

_DEPLOY: Final = "/api/agents/deploy"
_PATIENCE: Final = 90.0
"""Seconds for a deployment from its begin to its end, or for the making of a bundle."""
_WRITTEN: Final = ("/var/log", "/home", "/run", "/var/lib/sudo")
"""What signing in and becoming root write to."""


@pytest_asyncio.fixture
async def fresh_host(bare_host: BareHost, tmp_path: Path) -> AsyncIterator[SshHost]:
    """Give a host of the test's own with a running sshd."""
    await asyncio.to_thread(set_up, bare_host)
    folder = tmp_path / "sshd"
    folder.mkdir()
    async with running_ssh_host(bare_host, folder) as host:
        yield host


def deploy_body(host: SshHost, center_url: str, **changes: Any) -> dict[str, Any]:
    """The body of a deployment to a host: as `keeper`, with the password that sudo asks for."""
    said = {
        "host": host.address,
        "ssh_user": "keeper",
        "ssh_key_text": KEY,
        "sudo_password": PASSWORD,
        "known_host": host.key.text,
        "label": "db-01",
        "center_url": center_url,
    }
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


async def host_tree(host: SshHost) -> Mapping[str, object]:
    """All that is on a host, but for what each sign-in leaves there."""
    return await host.bare.tree(without=_WRITTEN)


async def deploy(api: Api, body: Mapping[str, Any]) -> Answer:
    """Deploy to a host, and return the answer at the end."""
    return await api.ask("POST", _DEPLOY, body, patience=_PATIENCE)


@asynccontextmanager
async def deployment(api: Api, body: Mapping[str, Any]) -> AsyncIterator[tuple[str, EventStream]]:
    """Begin a deployment; gives its path, and what is told of it."""
    # Made beforehand: while it is made, nothing is told of a deployment.
    target = Target.here()
    path = f"/api/agents/bundle/offer?python={target.python}&platform={target.platform}"
    await api.ask("GET", path, patience=_PATIENCE)
    answer = await api.ask("POST", f"{_DEPLOY}?wait=false", body)
    assert answer.status == 202, answer
    path = f"/api/deployments/{answer.json['id']}"
    async with api.events(f"{path}/stream", role="admin") as stream:
        yield path, stream


async def reaches(stream: EventStream, step: str, words: str = "") -> None:
    """Return once a deployment is told to be at a step, with these words in its detail."""
    while True:
        told = msgspec.json.decode((await stream.until("step"))[-1].data)
        if told["step"] == step and words in told["detail"]:
            return


async def ended(stream: EventStream) -> Any:
    """Return a deployment as it is at its end."""
    return msgspec.json.decode((await stream.until("end"))[-1].data)
