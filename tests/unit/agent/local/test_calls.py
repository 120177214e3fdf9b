"""Which route a path leads to, and which names a call may bear."""

import pytest
from aiohttp import web

from outrider.agent.local.calls import Call, LocalApi, Route, Routes, WrongMethod, status_of
from outrider.domain.errors import (
    Conflict,
    Forbidden,
    HostAway,
    HostFault,
    Invalid,
    NotFound,
    OutriderError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)


async def _one(call: Call) -> web.StreamResponse:
    return web.Response(text=f"one {call.found}")


async def _two(call: Call) -> web.StreamResponse:
    return web.Response(text=f"two {call.found}")


_ROUTES = Routes(
    (
        Route("GET", "/v3/things", _one),
        Route("PATCH", "/v3/things", _two),
        Route("GET", "/v3/things/{}", _two),
        Route("POST", "/v3/orders", _one),
    )
)


def test_a_path_leads_to_its_handler() -> None:
    """By method; HEAD is a GET; `{}` stands for one piece, which is decoded."""
    assert _ROUTES.find("GET", "/v3/things") == (_one, "")
    assert _ROUTES.find("HEAD", "/v3/things") == (_one, "")
    assert _ROUTES.find("PATCH", "/v3/things") == (_two, "")
    assert _ROUTES.find("GET", "/v3/things/a%2Fb%20c") == (_two, "a/b c")


@pytest.mark.parametrize(
    "path",
    ["", "/", "*", "/v3", "/v3/things/", "/v3/things/a/b", "//v3/things", "/V3/things", "/v3/orders/1"],
)
def test_other_paths_lead_nowhere(path: str) -> None:
    """Also one whose piece is empty, and one too deep."""
    with pytest.raises(NotFound):
        _ROUTES.find("GET", path)


def test_a_wrong_method_is_told_the_right_ones() -> None:
    """With HEAD where there is a GET, as the header Allow has them."""
    with pytest.raises(WrongMethod) as wrong:
        _ROUTES.find("DELETE", "/v3/things")
    assert wrong.value.fields["allow"] == "GET, HEAD, PATCH"
    with pytest.raises(WrongMethod) as wrong:
        _ROUTES.find("GET", "/v3/orders")
    assert wrong.value.fields["allow"] == "POST"


def test_each_error_has_its_status() -> None:
    """By its nearest known ancestor; what is none of them is a fault of the agent."""
    errors: dict[OutriderError, int] = {
        Invalid(""): 400,
        Unauthenticated(""): 401,
        Forbidden(""): 403,
        NotFound(""): 404,
        WrongMethod("", allow="GET"): 405,
        Conflict(""): 409,
        HostAway(""): 409,
        TooLarge(""): 413,
        Unavailable(""): 503,
        HostFault(""): 500,
    }
    assert {error: status_of(error) for error in errors} == errors


def test_a_refusal_of_a_method_says_allow() -> None:
    """In the header, whatever words the API has for errors."""
    api = LocalApi(
        name="test",
        routes=_ROUTES,
        hosts=frozenset,
        write_error=lambda status, error: web.Response(status=status, text=error.detail),
    )
    response = api.refusal(WrongMethod("not so", allow="POST"))
    assert (response.status, response.headers["Allow"], response.text) == (405, "POST", "not so")
    assert response.headers["Cache-Control"] == "no-store"
