"""The one table from error class to HTTP status."""

from outrider.center.http.problems import STATUS, status_of
from outrider.domain import errors
from outrider.domain.errors import OutriderError


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
