"""Routes by which a browser opens a session: its token goes into a cookie and nowhere else."""

from typing import Any, Final

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from outrider.center.access.oidc import Providers
from outrider.center.access.sign_in import SignedIn, SignIn
from outrider.center.access.views import ExchangeBody, LoginBody, SessionView, session_view
from outrider.center.http.addresses import client_address
from outrider.center.http.callers import Open, access
from outrider.center.http.cookies import keep_session
from outrider.center.http.origins import check_own_page
from outrider.center.http.problems import documented

Asked = Request[Any, Any, Any]
_NO_STORE: Final = {"Cache-Control": "no-store"}


@post("/browser/login", opt=access(Open.PUBLIC), status_code=200, responses=documented([401, 403, 429]))
async def login_in_browser(
    data: JSONBody[LoginBody], request: Asked, sign_in: NamedDependency[SignIn]
) -> Response[SessionView]:
    """Open a session for the center's own page that asks; its token is kept in a cookie."""
    check_own_page(request, request.app.state.public_url)
    signed_in = await sign_in.login(
        data.username,
        data.password,
        code=data.code,
        address=client_address(request),
        client=request.headers.get("user-agent", ""),
    )
    return _kept(request, signed_in)


@post(
    "/browser/exchange", opt=access(Open.PUBLIC), status_code=200, responses=documented([401, 403, 404, 429])
)
async def exchange_in_browser(
    data: JSONBody[ExchangeBody], request: Asked, providers: NamedDependency[Providers]
) -> Response[SessionView]:
    """Open the session that a provider's code stands for; its token is kept in a cookie."""
    check_own_page(request, request.app.state.public_url)
    signed_in = await providers.exchange(
        data.code, address=client_address(request), client=request.headers.get("user-agent", "")
    )
    return _kept(request, signed_in)


def _kept(request: Asked, signed_in: SignedIn) -> Response[SessionView]:
    view = session_view(signed_in.caller, request.app.state.about())
    return Response(view, headers=_NO_STORE, cookies=[keep_session(request, signed_in.token)])


HANDLERS: Final[list[ControllerRouterHandler]] = [login_in_browser, exchange_in_browser]
