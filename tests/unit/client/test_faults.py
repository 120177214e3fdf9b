"""Problem answers, read back into errors."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.client.faults import CenterAway, CenterFault, StrangeAnswer, from_answer
from outrider.domain import errors

URL = "http://center.test"


def body(code: str, **fields: object) -> bytes:
    """A problem document as a center writes it."""
    return json.dumps(
        {
            "type": "about:blank",
            "title": "T",
            "status": 400,
            "code": code,
            "detail": "Say why.",
            "fields": fields,
        }
    ).encode()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid", errors.Invalid),
        (400, "bad_params", errors.BadParams),
        (400, "unknown_type", errors.UnknownType),
        (401, "unauthenticated", errors.Unauthenticated),
        (403, "forbidden", errors.Forbidden),
        (404, "not_found", errors.NotFound),
        (409, "conflict", errors.Conflict),
        (413, "too_large", errors.TooLarge),
        (429, "throttled", errors.Throttled),
        (503, "unavailable", errors.Unavailable),
        (500, "internal", CenterFault),
    ],
)
def test_a_code_gives_the_error_that_the_center_raised(
    status: int, code: str, kind: type[errors.OutriderError]
) -> None:
    """The class is found by the code, with the sentence and the facts."""
    error = from_answer(status, body(code, retry_after=3), url=URL)
    assert type(error) is kind
    assert error.detail == "Say why."
    assert error.fields == {"retry_after": 3}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, errors.NotFound), (418, errors.Invalid), (409, errors.Conflict), (507, CenterFault)],
)
def test_a_code_of_a_newer_center_is_read_by_its_status(
    status: int, kind: type[errors.OutriderError]
) -> None:
    """An unknown code still gives the kind of error that its status says."""
    assert type(from_answer(status, body("code_of_tomorrow"), url=URL)) is kind


def test_a_gateway_without_its_server_is_a_center_that_is_away() -> None:
    """A proxy's own page for a dead server says that the center can't be reached."""
    assert isinstance(from_answer(502, b"<html>Bad gateway</html>", url=URL), CenterAway)


def test_an_answer_of_something_else_says_so() -> None:
    """What is no center is named as such, with the address."""
    error = from_answer(404, b"<html>nginx</html>", url=URL)
    assert isinstance(error, StrangeAnswer)
    assert URL in error.detail


def test_fields_named_like_our_own_arguments_do_no_harm() -> None:
    """A hostile answer can't make the error impossible to raise."""
    error = from_answer(400, body("invalid", detail="x", self="y", field="tags"), url=URL)
    assert error.fields == {"field": "tags"}


@given(st.integers(400, 599), st.binary(max_size=200))
def test_any_answer_gives_an_error(status: int, content: bytes) -> None:
    """Whatever comes with an error status becomes an error with a sentence, never a crash."""
    assert from_answer(status, content, url=URL).detail
