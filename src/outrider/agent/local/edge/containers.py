"""The calls of the edge API that containers make: they say who they are by their microservice's id alone."""

from typing import Final

from outrider.agent.local import web
from outrider.agent.local.calls import Call, Route
from outrider.agent.local.edge.access import as_json, json_object, of_json
from outrider.agent.local.edge.control_socket import ControlSockets
from outrider.agent.microservices import Microservices
from outrider.domain.errors import Invalid

_ECHOED: Final = 64


def container_routes(microservices: Microservices, sockets: ControlSockets) -> list[Route]:
    """Return the routes; none of them takes a key."""
    calls = _Calls(microservices)
    return [
        Route("POST", "/v2/config/get", of_json(calls.config)),
        Route("GET", "/v2/control/socket/id/{}", sockets.answer),
    ]


class _Calls:
    def __init__(self, microservices: Microservices) -> None:
        self._microservices = microservices

    async def config(self, call: Call) -> web.StreamResponse:
        microservice = (await json_object(call)).get("id")
        if not isinstance(microservice, str) or not microservice.strip():
            raise Invalid("Incorrect content/data")
        config = self._microservices.config(microservice)
        if config is None:
            raise Invalid(f"No configuration found for the id {microservice[:_ECHOED]}")
        return as_json({"status": "okay", "config": config})
