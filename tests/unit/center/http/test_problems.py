"""The one table from error class to HTTP status."""

import msgspec
import pytest

from outrider.center.http.problems import STATUS, answer, status_of
from outrider.domain import errors, file_errors
from outrider.domain.errors import OutriderError, told


def _subclasses(kind: type[OutriderError]) -> set[type[OutriderError]]:
    return {kind, *(each for child in kind.__subclasses__() for each in _subclasses(child))}


def test_every_error_of_the_tree_has_a_status() -> None:
    """The nearest ancestor in the table decides; nothing in the tree is a 500."""
    tree = {kind for kind in _subclasses(OutriderError) if kind.__module__ == errors.__name__}
    found = {kind.__name__: status_of(kind("x")) for kind in tree - {OutriderError}}
    assert found == {
        "Invalid": 400,
        "UnknownType": 400,
        "BadParams": 400,
        "Unauthenticated": 401,
        "Forbidden": 403,
        "NotFound": 404,
        "Conflict": 409,
        "HostAway": 409,
        "HostPaused": 409,
        "TooLarge": 413,
        "NoSpace": 507,
        "Throttled": 429,
        "Unavailable": 503,
        "StreamLost": 503,
        "HostFault": 502,
        "LinkFault": 400,
        "NoCommonVersion": 400,
        "LinkRefused": 400,
    }


def test_what_nobody_foresaw_is_a_fault_of_ours() -> None:
    """The root itself has no row."""
    assert OutriderError not in STATUS
    assert status_of(OutriderError("x")) == 500


@pytest.mark.parametrize(
    "code", [errors.Throttled.code, file_errors.RangeNotSatisfiable.code, errors.Invalid.code]
)
@pytest.mark.parametrize(
    "value",
    [
        "soon",
        float("inf"),
        float("nan"),
        -(2**63),
        1e300,
        b"\xff",
        {"deep": {"deeper": [1]}},
        {(1, 2): 3},
        [[1]],
        ["x"] * 100_000,
        "x" * 100_000,
        msgspec.msgpack.Ext(5, b"x"),
    ],
)
def test_what_a_host_says_of_an_error_can_be_answered(code: str, value: object) -> None:
    """Whatever fields a host makes up, its error is one that people can be answered, and a short one."""
    error = told(code, "x" * 10_000, dict.fromkeys(("self", "detail", "retry_after", "size"), value))
    assert error.code == code
    response = answer(status_of(error), error.code, error.detail, dict(error.fields))
    assert len(msgspec.json.encode(response.content)) < 250_000
    assert int(response.headers.get("Retry-After", "1")) in range(1, 86_401)
