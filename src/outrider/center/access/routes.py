"""All routes of the room."""

from litestar import Router

from outrider.center.access import (
    browser_routes,
    oidc_routes,
    session_routes,
    token_routes,
    totp_routes,
    user_routes,
)


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[
            *session_routes.HANDLERS,
            *browser_routes.HANDLERS,
            *user_routes.HANDLERS,
            *token_routes.HANDLERS,
            *totp_routes.HANDLERS,
            *oidc_routes.HANDLERS,
        ],
        tags=["access"],
    )
