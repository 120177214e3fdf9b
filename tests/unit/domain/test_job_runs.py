"""The words of a job run: contract 000's order, as a table."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.job_runs import ALLOWED, JobKind, RunStatus, status_of

_SEED = {
    JobKind.SYNC: "no peers|syncing|synced",
    JobKind.TRANSFER: "invalid state|no peers|waiting for files from source|downloading|seeding|"
    "cleaning up destination folder|waiting for scheduled script|"
    "executing pre-indexing script|executing post-download script|"
    "executing complete script|archiving script logs|successfully finished|expired",
    JobKind.SCRIPT: "expired|successfully finished|executing script",
}
_OF_ALL = "error|loading|paused|writing acl|processing files|indexing|low priority"


@pytest.mark.parametrize("kind", JobKind)
def test_each_kind_has_the_words_of_the_seed(kind: JobKind) -> None:
    """To the letter, but for the one that never occurs on Linux."""
    words = f"{_OF_ALL}|{_SEED[kind]}"
    assert {status.value for status in ALLOWED[kind]} == set(words.split("|"))


_ORDER = (
    "error",
    "loading",
    "paused",
    "executing script",
    "writing acl",
    "indexing",
    "processing files",
    "low priority",
    "waiting for files from source",
    "no peers",
    "cleaning up destination folder",
    "syncing",
    "synced",
    "seeding",
    "successfully finished",
)


def test_of_any_two_the_earlier_one_is_said() -> None:
    """The order of the contract, pair by pair, in every kind of job that knows both."""
    for (first, second), kind in itertools.product(itertools.combinations(_ORDER, 2), JobKind):
        pair = {RunStatus(first), RunStatus(second)}
        if pair <= ALLOWED[kind]:
            assert status_of(kind, pair).value == first


def test_what_the_job_says_of_itself_comes_first() -> None:
    """An expired run is expired, and one in an invalid state is that, whatever else applies."""
    assert status_of(JobKind.TRANSFER, {RunStatus.ERROR, RunStatus.EXPIRED}) is RunStatus.EXPIRED
    assert status_of(JobKind.TRANSFER, {RunStatus.PAUSED, RunStatus.INVALID_STATE}) is RunStatus.INVALID_STATE


@given(kind=st.sampled_from(JobKind), applying=st.sets(st.sampled_from(RunStatus)))
def test_a_word_of_the_kind_is_said_or_none(kind: JobKind, applying: set[RunStatus]) -> None:
    """Words of other kinds are passed over; when nothing is left, that is an error of the engine."""
    if applying & ALLOWED[kind]:
        assert status_of(kind, applying) in applying & ALLOWED[kind]
    else:
        with pytest.raises(ValueError, match="in none of the states"):
            status_of(kind, applying)
