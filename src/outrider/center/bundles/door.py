"""Who may fetch bundles: enrolled hosts, hosts that may join, administrators."""

from typing import Any, Final

from litestar.connection import ASGIConnection

from outrider.center.fleet.service import FleetService
from outrider.center.http.callers import require
from outrider.domain.errors import Unauthenticated
from outrider.domain.roles import Role

AGENT_ID: Final = "x-agent-id"
AGENT_KEY: Final = "x-agent-key"
ENROLMENT_KEY: Final = "x-enrolment-key"


async def let_in(connection: ASGIConnection[Any, Any, Any, Any], fleet: FleetService) -> None:
    """Check which of the three kinds of credentials is shown; the first of them counts.

    `X-Agent-Id` and `X-Agent-Key` of an agent that was not declined, `X-Enrolment-Key` with one that hosts
    can still join with, or an administrator's token. Raises Unauthenticated, Forbidden or NotFound.
    """
    shown = connection.headers
    if AGENT_KEY in shown or AGENT_ID in shown:
        await fleet.recognise(shown.get(AGENT_ID, ""), shown.get(AGENT_KEY, ""))
    elif ENROLMENT_KEY in shown:
        await fleet.vouch(shown[ENROLMENT_KEY])
    elif "authorization" in shown:
        await require(connection, Role.ADMIN)
    else:
        raise Unauthenticated(
            "Show an agent's id and key (X-Agent-Id, X-Agent-Key), an enrolment key (X-Enrolment-Key), or an "
            "administrator's token (Authorization: Bearer)."
        )
