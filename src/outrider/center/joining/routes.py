"""Routes of joining (seed 002 and its contract)."""

from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from outrider.center.http.addresses import client_address
from outrider.center.http.callers import Open, access
from outrider.center.http.problems import documented
from outrider.center.joining.service import Joining

SHELL_SCRIPT: Final = "text/x-shellscript"
_MAX_KEY: Final = 2048


@get(
    "/agents/install-script",
    opt=access(Open.AGENT),
    media_type=SHELL_SCRIPT,
    responses=documented([401, 429]),
)
async def install_script(
    request: Request[Any, Any, Any],
    joining: NamedDependency[Joining],
    key: Annotated[str, QueryParameter(max_length=_MAX_KEY)] = "",
) -> Response[bytes]:
    """Give the shell script that installs the agent on the host that runs it.

    `key` is an enrolment key, or the agent key of the agent that is to be put back on its host.
    """
    asked = f"{request.url.scheme}://{request.url.netloc}"
    script = await joining.script(key, asked=asked, address=client_address(request))
    # It holds a secret: nothing between us and the host may keep it.
    return Response(script, media_type=SHELL_SCRIPT, headers={"Cache-Control": "no-store"})


def router() -> Router:
    """Make the room's routes."""
    return Router("/api", route_handlers=[install_script], tags=["joining"])
