"""The OpenAPI document against the running center: what it says is what is answered, and nothing breaks.

Schemathesis makes requests from the document, fitting and unfitting ones, and holds each answer to it: no
5xx, no undocumented status or content type, bodies as described. Half of them name an agent that exists.
"""

import asyncio
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fixtures.api import Api
from tests.fixtures.center import RunningCenter, open_api
from tests.fixtures.links import enrol, send
from tests.integration.center.route_table import ROUTES

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_LEFT_OUT: Final = {
    ("GET", "/api/events"): "has no end to wait for",
    ("GET", "/api/agents/{agent_id}/commands/{command_id}/stream"): "likewise",
    ("POST", "/api/logout"): "would end the session that asks",
    ("POST", "/api/agents/deploy"): "goes out to whatever host it is given: tests of deployments",
    ("GET", "/schema"): "is the document itself",
    ("GET", "/schema/openapi.json"): "likewise",
    ("GET", "/schema/{path}"): "likewise",
}
_EXAMPLES: Final = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def document(center: RunningCenter) -> BaseSchema:
    """Give the document of the running center."""
    return schemathesis.openapi.from_url(f"{center.url}/schema/openapi.json")


@pytest.fixture(scope="module")
def known(center: RunningCenter) -> dict[str, str]:
    """Give the ids of an agent and a command that exist.

    The command has ended: one that waits for a host that never comes keeps who asks with `wait` for a minute.
    """

    async def make() -> dict[str, str]:
        async with open_api(center.url, center.tokens) as api:
            agent = await enrol(api)
            command_id = await send(api, agent)
            await api.post(f"/api/agents/{agent.id}/commands/{command_id}/cancel")
            return {"agent_id": agent.id, "command_id": command_id}

    return asyncio.run(make())


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES.keys() - _LEFT_OUT.keys()))
def test_every_answer_is_as_documented(
    center: RunningCenter, document: BaseSchema, known: dict[str, str], method: str, path: str
) -> None:
    """Whatever fits the document, or nearly does, is answered as the document says."""
    operation: Any = document[path][method]

    @_EXAMPLES
    @given(st.one_of([operation.as_strategy(mode) for mode in GenerationMode]))
    def check(case: Case[Any]) -> None:
        parameters: dict[str, Any] = case.path_parameters or {}
        if method != "DELETE" and sum(len(str(value)) for value in parameters.values()) % 2:
            parameters.update({name: value for name, value in known.items() if name in parameters})
        token = center.tokens["super_admin"]
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=20)

    check()


async def test_the_document_says_who_may_call(api: Api) -> None:
    """Every guarded route names the bearer scheme and its 401 and 403; every route its 400."""
    found = await api.get("/schema/openapi.json", role=None)
    assert found["openapi"].startswith("3.1")
    assert found["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, item in found["paths"].items():
        for method, operation in item.items():
            statuses = set(operation["responses"])
            assert "400" in statuses, (method, path)
            assert operation["description"], (method, path)
            if "security" in operation:
                assert {"401", "403"} <= statuses, (method, path)


async def test_the_page_works_without_the_network(api: Api) -> None:
    """`/schema` shows every path and loads nothing from elsewhere."""
    answer = await api.ask("GET", "/schema", role=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    page = answer.body.decode()
    assert "/api/agents/{agent_id}/commands" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
