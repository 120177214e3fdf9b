"""The methods of `outrider.client.microservices`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from outrider.client.microservices import Microservice, MicroserviceConfig


class WaitingMicroservices(Waiting):
    """The methods of Microservices in `outrider.client.microservices`; they promise and raise the same."""

    def microservices(self, agent_id: str) -> list[Microservice]:
        """All microservices of an agent, by id. Raises NotFound."""
        return self._wait(self._center.microservices(agent_id))

    def microservice_config(self, agent_id: str, microservice: str) -> MicroserviceConfig:
        """One microservice with its configuration. Raises NotFound."""
        return self._wait(self._center.microservice_config(agent_id, microservice))

    def configure_microservice(self, agent_id: str, microservice: str, config: str) -> Microservice:
        """Store a configuration, of which the container is told at once; the microservice may be a new one.

        Raises NotFound for the agent, Invalid, or Conflict when there is no more room.
        """
        return self._wait(self._center.configure_microservice(agent_id, microservice, config))

    def remove_microservice(self, agent_id: str, microservice: str) -> None:
        """Remove a microservice with its configuration. Raises NotFound."""
        self._wait(self._center.remove_microservice(agent_id, microservice))
