"""One-time codes against RFC 6238, and what counts once."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain import totp

SECRET = b"12345678901234567890"
"""The secret of the RFC's test vectors for SHA-1."""


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_the_rfc(now: int, code: str) -> None:
    """RFC 6238, appendix B; six digits are the last six of eight."""
    assert totp.code_at(SECRET, totp.step_at(now), digits=8) == code
    assert totp.code_at(SECRET, totp.step_at(now)) == code[2:]


@given(
    secret=st.binary(min_size=20, max_size=20),
    now=st.floats(min_value=0, max_value=2**40),
    early=st.integers(min_value=-1, max_value=1),
)
def test_a_code_counts_a_step_around_and_once(secret: bytes, now: float, early: int) -> None:
    """The code of the step before, of now and of the next is taken; the same step is not taken twice."""
    step = totp.step_at(now) + early
    if step < 0:
        return
    code = totp.code_at(secret, step)
    taken = totp.matching_step(secret, code, now=now, after=-1)
    assert taken is not None
    assert totp.code_at(secret, taken) == code
    again = totp.matching_step(secret, code, now=now, after=totp.step_at(now) + 1)
    assert again is None


@given(text=st.text(max_size=12))
def test_any_text_is_compared(text: str) -> None:
    """Whatever somebody types is either a code or not."""
    found = totp.matching_step(SECRET, text, now=59, after=-1)
    assert (found is None) or text in {totp.code_at(SECRET, step) for step in range(3)}


def test_a_code_of_two_steps_ago_is_too_old() -> None:
    """The window is one step."""
    now = 90 * totp.STEP_SECONDS
    assert totp.matching_step(SECRET, totp.code_at(SECRET, 88), now=now, after=-1) is None
    assert totp.matching_step(SECRET, totp.code_at(SECRET, 92), now=now, after=-1) is None


def test_the_address_says_what_apps_need() -> None:
    """The label, the secret in base32, and the parameters."""
    parts = urlsplit(totp.uri_of(SECRET, username="p@house.example", issuer="Outrider"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path == "/Outrider%3Ap%40house.example"
    query = parse_qs(parts.query)
    assert base64.b32decode(query["secret"][0]) == SECRET
    assert (query["algorithm"], query["digits"], query["period"]) == (["SHA1"], ["6"], ["30"])
    assert totp.text_of(SECRET) == query["secret"][0]
