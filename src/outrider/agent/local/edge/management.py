"""The calls of the edge API that need its key: what people and programs on this host ask of the agent."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from outrider import __version__
from outrider.agent.configuration import Configuration
from outrider.agent.images import ImageStore
from outrider.agent.local import web
from outrider.agent.local.calls import Call, Route
from outrider.agent.local.edge.access import as_json, json_object, keyed, of_json
from outrider.agent.local.edge.status import StatusReader
from outrider.agent.membership import CantJoin
from outrider.agent.provisioning import NotProvisioned, Provisioning
from outrider.domain.errors import Invalid
from outrider.kit import logs

log = logs.get(__name__)

_FAULT: Final = 500
_KEY: Final = "provisioning-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Management:
    """What these calls go to. `info` reads what `GET /v2/info` says, and blocks."""

    status: StatusReader
    info: Callable[[], dict[str, str]]
    provisioning: Provisioning
    configuration: Configuration
    images: ImageStore


def management_routes(parts: Management, key: str) -> list[Route]:
    """Return the routes, behind the key."""
    calls = _Calls(parts)
    return [
        Route("GET", "/v2/status", keyed(key, calls.status)),
        Route("GET", "/v2/info", keyed(key, calls.info)),
        Route("GET", "/v2/version", keyed(key, calls.version)),
        Route("POST", "/v2/provision", of_json(keyed(key, calls.provision))),
        Route("DELETE", "/v2/deprovision", keyed(key, calls.deprovision)),
        Route("POST", "/v2/config", of_json(keyed(key, calls.config))),
        Route("POST", "/v2/prune", keyed(key, calls.prune)),
    ]


class _Calls:
    def __init__(self, parts: Management) -> None:
        self._parts = parts
        self._reading = asyncio.Lock()

    async def status(self, _: Call) -> web.StreamResponse:
        async with self._reading:
            return as_json(await asyncio.to_thread(self._parts.status.read))

    async def info(self, _: Call) -> web.StreamResponse:
        return as_json(await asyncio.to_thread(self._parts.info))

    async def version(self, _: Call) -> web.StreamResponse:
        return as_json({"version": __version__})

    async def provision(self, call: Call) -> web.StreamResponse:
        key = (await json_object(call)).get(_KEY)
        if key is None or key == "":
            raise Invalid(f"Missing required property '{_KEY}'")
        if not isinstance(key, str):
            raise Invalid(f"Property '{_KEY}' must be a text")
        try:
            joined = await self._parts.provisioning.provision(key)
        except CantJoin as error:
            log.warning("this host could not be provisioned", reason=error.detail)
            return as_json({"status": "failed", "errorMessage": error.detail}, _FAULT)
        return as_json({"uuid": joined.agent_id, "token": joined.device_id})

    async def deprovision(self, _: Call) -> web.StreamResponse:
        try:
            await self._parts.provisioning.deprovision()
        except NotProvisioned:
            return as_json({"message": "Failure - not provisioned", "status": "failed"}, _FAULT)
        except OSError as error:
            log.exception("this host could not leave its center")
            reason = error.strerror or str(error)
            return as_json({"message": f"Failure - {reason}", "status": "failed"}, _FAULT)
        return as_json({"message": "Success - tokens, identifiers and keys removed", "status": "success"})

    async def config(self, call: Call) -> web.StreamResponse:
        return as_json(await self._parts.configuration.change(await json_object(call)))

    async def prune(self, _: Call) -> web.StreamResponse:
        reclaimed = await self._parts.images.prune()
        return as_json(
            {"message": f"Success - {reclaimed} bytes reclaimed", "status": "success", "reclaimed": reclaimed}
        )
