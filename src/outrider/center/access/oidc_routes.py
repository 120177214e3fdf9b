"""Routes of signing in with a provider."""

from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from outrider.center.access.oidc import SIGN_IN_WITHIN, Arrival, Listed, Providers, refusal
from outrider.center.access.views import ExchangeBody, LoginAnswer, login_answer
from outrider.center.http.addresses import client_address
from outrider.center.http.callers import Open, access
from outrider.center.http.problems import documented
from outrider.domain import return_addresses
from outrider.domain.errors import OutriderError

Asked = Request[Any, Any, Any]
Known = NamedDependency[Providers]

COOKIE: Final = "outrider_sign_in"
_PATH: Final = "/api/oidc"
_NO_STORE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@get("/oidc", opt=access(Open.PUBLIC))
async def list_providers(providers: Known) -> list[Listed]:
    """List the providers that one can sign in with."""
    return providers.all()


@get(
    "/oidc/{name:str}/login",
    opt=access(Open.PUBLIC),
    status_code=302,
    responses=documented([404, 429]),
)
async def begin_sign_in(
    name: FromPath[str], request: Asked, providers: Known, redirect: FromQuery[str] = "/"
) -> Response[None]:
    """Send the browser to the provider; `redirect` is where it comes back to, with a `code` to exchange."""
    departure = await providers.begin(
        name,
        redirect,
        base_url=_base_url(request),
        browser=request.cookies.get(COOKIE),
        address=client_address(request),
    )
    cookie = Cookie(
        key=COOKIE,
        value=departure.browser,
        path=_PATH,
        max_age=int(SIGN_IN_WITHIN),
        httponly=True,
        secure=_base_url(request).startswith("https:"),
        samesite="lax",
    )
    return Response(None, headers={"Location": departure.url, **_NO_STORE}, cookies=[cookie])


@get(
    "/oidc/{name:str}/callback",
    opt=access(Open.PUBLIC),
    status_code=302,
    responses=documented([401, 403, 404, 409]),
)
async def end_sign_in(  # the provider chooses these names
    name: FromPath[str],
    request: Asked,
    providers: Known,
    code: FromQuery[str | None] = None,
    provider_state: Annotated[str | None, QueryParameter(name="state")] = None,
    error: FromQuery[str | None] = None,
    iss: FromQuery[str | None] = None,
) -> Response[None]:
    """Take the browser back from the provider, and send it on to where it began.

    What goes wrong is told in the console to who asks for a page, and as an error to others.
    """
    arrival = Arrival(
        code=code, state=provider_state, error=error, issuer=iss, browser=request.cookies.get(COOKIE)
    )
    try:
        target = await providers.arrive(name, arrival, address=client_address(request))
    except OutriderError as refused:
        if not _is_a_page(request):
            raise
        target = refusal(return_addresses.console(), refused)
    return Response(None, headers={"Location": target, **_NO_STORE})


@post(
    "/oidc/exchange",
    opt=access(Open.PUBLIC),
    status_code=200,
    responses=documented([401, 404, 429]),
)
async def exchange_code(data: JSONBody[ExchangeBody], request: Asked, providers: Known) -> LoginAnswer:
    """Open the session that a code stands for; it works once, within a minute."""
    signed_in = await providers.exchange(
        data.code, address=client_address(request), client=request.headers.get("user-agent", "")
    )
    return login_answer(signed_in)


def _is_a_page(request: Asked) -> bool:
    """Whether a person would see the answer: what browsers ask for as they follow an address."""
    return "text/html" in request.headers.get("accept", "")


def _base_url(request: Asked) -> str:
    public: str = request.app.state.public_url
    return public or str(request.base_url)


HANDLERS: Final[list[ControllerRouterHandler]] = [list_providers, begin_sign_in, end_sign_in, exchange_code]
