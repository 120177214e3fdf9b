"""The client API as a whole, and the server that follows the profile: on or off, and on which port."""

from collections.abc import Mapping
from typing import Final

from outrider.agent.local.calls import LOOPBACK_NAMES, LocalApi, Route, Routes
from outrider.agent.local.client.access import Token
from outrider.agent.local.client.answers import write_error
from outrider.agent.local.client.orders import Orders
from outrider.agent.local.client.runs import Runs
from outrider.agent.local.client.status import ClientStatus
from outrider.agent.local.client.tags import HostTags
from outrider.agent.local.server import LocalServer, Place
from outrider.agent.profile import AgentProfile
from outrider.agent.settings import AgentSettings
from outrider.domain.profiles import CLIENT_API_ENABLED
from outrider.kit.clock import Clock

NAME: Final = "client API"
_ADDRESS: Final = "127.0.0.1"
"""The seed binds it to the loopback, and no setting changes that."""


def client_api(*, token: Token, status: ClientStatus, orders: Orders, runs: Runs, tags: HostTags) -> LocalApi:
    """Make the API: seed 000's routes under `/api/v3`."""
    routes = Routes(
        (
            Route("GET", "/api/v3/token", token.show),
            Route("GET", "/api/v3/client", token.guards(status.show)),
            Route("PATCH", "/api/v3/client", token.guards(orders.change)),
            Route("GET", "/api/v3/runs", token.guards(runs.show_all)),
            Route("GET", "/api/v3/runs/{}", token.guards(runs.show)),
            Route("GET", "/api/v3/tags", token.guards(tags.show)),
            Route("PATCH", "/api/v3/tags", token.guards(tags.change)),
        )
    )
    return LocalApi(name=NAME, routes=routes, hosts=lambda: LOOPBACK_NAMES, write_error=write_error)


def client_server(
    api: LocalApi, *, profile: AgentProfile, settings: AgentSettings, clock: Clock
) -> LocalServer:
    """Make the server of the API; it opens, moves and closes as the profile changes."""
    server = LocalServer(api, clock=clock)

    def follow(_: Mapping[str, str]) -> None:
        server.open_at(_places(profile, settings))

    profile.observe(follow)
    server.open_at(_places(profile, settings))
    return server


def _places(profile: AgentProfile, settings: AgentSettings) -> tuple[Place, ...]:
    said = CLIENT_API_ENABLED.name in profile.current
    enabled = profile.client_api_enabled if said else settings.client_api_enabled
    return (Place(_ADDRESS, settings.client_api_port or profile.client_api_port),) if enabled else ()
