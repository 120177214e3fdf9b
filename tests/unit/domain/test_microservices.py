"""Ids, texts and digests of microservices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.errors import Invalid
from outrider.domain.ids import MicroserviceId
from outrider.domain.microservices import (
    MAX_CONFIG,
    NO_MICROSERVICES,
    check_config,
    digest_of,
    parse_microservice_id,
    version_of,
)

_VERSIONS = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True).map(MicroserviceId), st.text("0123", max_size=3)
)


def test_an_id_is_what_stands_in_addresses() -> None:
    """The sample of seed 003 is one; nothing that has to be escaped is."""
    assert parse_microservice_id("R4b2WPZRbycCzyZBz9tD7BdMWg94YDhQ") == "R4b2WPZRbycCzyZBz9tD7BdMWg94YDhQ"
    for text in ("", "a b", "a/b", "..", "\u00e4", "x" * 65, "a\n"):
        with pytest.raises(Invalid) as caught:
            parse_microservice_id(text)
        assert caught.value.fields["field"] == "microservice"


def test_a_configuration_is_measured_in_bytes() -> None:
    """64 KiB of UTF-8, also where that is fewer characters; the null character is kept by no database."""
    assert check_config("\u00e4") == 2
    assert check_config("x" * MAX_CONFIG) == MAX_CONFIG
    for text in ("x" * (MAX_CONFIG + 1), "\u00e4" * (MAX_CONFIG // 2 + 1), "a\0"):
        with pytest.raises(Invalid):
            check_config(text)


@given(_VERSIONS, _VERSIONS)
def test_equal_digests_mean_equal_microservices(
    one: dict[MicroserviceId, str], other: dict[MicroserviceId, str]
) -> None:
    """In whatever order they are named; none at all have one of their own."""
    assert (digest_of(one) == digest_of(other)) is (one == other)
    assert digest_of(one) == digest_of(dict(reversed(one.items())))
    assert (digest_of(one) == NO_MICROSERVICES) is (not one)


@given(st.text(max_size=8), st.text(max_size=8))
def test_versions_tell_texts_apart(one: str, other: str) -> None:
    """Two texts have two versions."""
    assert (version_of(one) == version_of(other)) is (one == other)
