"""Password hashes."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError

from outrider.center.security.passwords import (
    PasswordRefused,
    hash_password,
    needs_rehash,
    verify_password,
)

# A cheap hash, made with settings below today's.
WEAK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct")


def test_a_password_matches_its_own_hash_alone() -> None:
    """The right password is taken, another is not, and two hashes of one password differ."""
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$")
    assert verify_password("correct horse", stored)
    assert not verify_password("correct hors", stored)
    assert hash_password("correct horse") != stored


def test_an_unknown_user_matches_nothing() -> None:
    """No password opens a user who is not there, not even the one behind the stand-in hash."""
    assert not verify_password("the password of nobody", None)


@pytest.mark.parametrize("password", ["", "x" * 1025, "é" * 513])
def test_passwords_out_of_bounds_are_refused(password: str) -> None:
    """Empty or over 1024 bytes can't be stored."""
    with pytest.raises(PasswordRefused):
        hash_password(password)


def test_a_password_that_is_too_long_is_wrong_at_once() -> None:
    """A login with a huge password is a mismatch; its bytes never reach the hash."""
    assert not verify_password("x" * 1_000_000, WEAK)


def test_a_password_that_is_no_valid_unicode_is_wrong() -> None:
    """A lone surrogate from a JSON body does not raise."""
    assert not verify_password("\ud800", WEAK)


def test_a_weaker_hash_is_known() -> None:
    """Hashes made under older settings still verify and ask to be made again."""
    assert verify_password("correct", WEAK)
    assert needs_rehash(WEAK)
    assert not needs_rehash(hash_password("correct"))


def test_a_damaged_stored_hash_is_an_error() -> None:
    """A broken row must not pass for a wrong password."""
    with pytest.raises(InvalidHashError):
        verify_password("correct", "not a hash")
