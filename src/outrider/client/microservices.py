"""Microservices of hosts, and the configurations that their containers read."""

from __future__ import annotations

import msgspec

from outrider.client.asking import Asking, part


class Microservice(msgspec.Struct, frozen=True, kw_only=True):
    """A microservice that a host knows; `bytes` is the size of its configuration."""

    id: str
    bytes: int = 0
    created: float | None = None
    changed: float | None = None
    changed_by: str = ""


class MicroserviceConfig(Microservice, frozen=True, kw_only=True):
    """A microservice with its configuration."""

    config: str


class Microservices(Asking):
    """The methods about microservices."""

    async def microservices(self, agent_id: str) -> list[Microservice]:
        """All microservices of an agent, by id. Raises NotFound."""
        return await self._transport().ask("GET", _all(agent_id), list[Microservice], repeatable=True)

    async def microservice_config(self, agent_id: str, microservice: str) -> MicroserviceConfig:
        """One microservice with its configuration. Raises NotFound."""
        path = f"{_one(agent_id, microservice)}/config"
        return await self._transport().ask("GET", path, MicroserviceConfig, repeatable=True)

    async def configure_microservice(self, agent_id: str, microservice: str, config: str) -> Microservice:
        """Store a configuration, of which the container is told at once; the microservice may be a new one.

        Raises NotFound for the agent, Invalid, or Conflict when there is no more room.
        """
        path = f"{_one(agent_id, microservice)}/config"
        body = {"config": config}
        return await self._transport().ask("PUT", path, Microservice, body=body, repeatable=True)

    async def remove_microservice(self, agent_id: str, microservice: str) -> None:
        """Remove a microservice with its configuration. Raises NotFound."""
        await self._transport().fetch("DELETE", _one(agent_id, microservice))


def _all(agent_id: str) -> str:
    return f"/api/agents/{part(agent_id)}/microservices"


def _one(agent_id: str, microservice: str) -> str:
    return f"{_all(agent_id)}/{part(microservice)}"
