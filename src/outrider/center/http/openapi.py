"""The OpenAPI document: what every route may answer, and a page that shows it without the network."""

import html
from collections.abc import Iterable
from typing import Any, Final

from litestar import Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from outrider.center.http.callers import ACCESS, Open, access
from outrider.center.http.problems import documented

_EVERYWHERE: Final = (400, 405, 413, 503)
_SIGNED_IN: Final = (401, 403)

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;"
    "color:#1a1f2b;background:#fff}code{font:13px ui-monospace,monospace}details{border:1px solid #d8dde6;"
    "border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}summary{cursor:pointer}b{display:inline-block;"
    "min-width:4.5rem}pre{overflow:auto;background:#f4f6fa;padding:.6rem}"
    "@media(prefers-color-scheme:dark){body{color:#e6e9ef;background:#14171d}details{border-color:#333a46}"
    "pre{background:#1d222b}}"
)


class PlainPage(OpenAPIRenderPlugin):
    """The document as one page without scripts: it works where there is no internet."""

    def __init__(self) -> None:
        """Serve at the document's own path."""
        super().__init__(path="/", favicon="")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Write the page."""
        info = openapi_schema["info"]
        title = html.escape(f"{info['title']} {info['version']}")
        operations = "\n".join(_operations(openapi_schema))
        page = (
            f"<!doctype html><html lang=en><meta charset=utf-8>"
            f"<meta name=viewport content='width=device-width'>"
            f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>"
            f"<p>{html.escape(info.get('description') or '')}</p>"
            f"<p>For programs: <a href='/schema/openapi.json'>openapi.json</a></p>{operations}</html>"
        )
        return page.encode()


def _operations(schema: dict[str, Any]) -> Iterable[str]:
    for path, item in sorted(schema["paths"].items()):
        for method in ("get", "post", "put", "patch", "delete"):
            if method in item:
                yield _operation(path, method, item[method])


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    summary = html.escape((operation.get("description") or operation.get("summary") or "").split("\n")[0])
    parameters = ", ".join(
        f"<code>{html.escape(parameter['name'])}</code> ({parameter['in']})"
        for parameter in operation.get("parameters", ())
    )
    answers = "".join(
        f"<li><code>{code}</code> {html.escape(answer.get('description', ''))}</li>"
        for code, answer in sorted(operation.get("responses", {}).items())
    )
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{html.escape(path)}</code> {summary}</summary>"
        f"<p>Parameters: {parameters or 'none'}</p><ul>{answers}</ul></details>"
    )


def config(version: str) -> OpenAPIConfig:
    """Configure the document at `/schema/openapi.json` and its page at `/schema`."""
    return OpenAPIConfig(
        title="Outrider control center",
        version=version,
        description="One small agent on every machine, one control center over all of them. "
        "Errors are RFC 9457 problem documents; match on their `code`.",
        use_handler_docstrings=True,
        render_plugins=[JsonRenderPlugin(), PlainPage()],
        openapi_router=Router("/schema", route_handlers=[], opt=access(Open.PUBLIC), include_in_schema=False),
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", description="POST /api/login")
            }
        ),
    )


def document(routers: Iterable[Router]) -> list[ControllerRouterHandler]:
    """Add to each handler the problem answers that any route may give, and who may call it."""
    documented_routers: list[ControllerRouterHandler] = []
    for router in routers:
        for route in router.routes:
            for handler in getattr(route, "route_handlers", ()):
                if isinstance(handler, HTTPRouteHandler):
                    _document(handler)
        documented_routers.append(router)
    return documented_routers


def _document(handler: HTTPRouteHandler) -> None:
    signed_in = not isinstance(handler.opt.get(ACCESS), Open)
    usual = documented([*_EVERYWHERE, *(_SIGNED_IN if signed_in else ())])
    handler.responses = {**usual, **(handler.responses or {})}
    if signed_in:
        handler.security = [{"bearer": []}]
