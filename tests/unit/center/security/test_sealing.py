"""The master key and the seal."""

from __future__ import annotations

import base64
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.center.security.sealing import (
    MasterKey,
    MasterKeyRefused,
    SealBroken,
    Sealer,
    load_master_key,
)

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = bytes(32), bytes(range(32))


def as_text(key: bytes) -> str:
    """The key as a person writes it."""
    return base64.b64encode(key).decode()


def test_a_hash_finds_a_secret_again_and_only_under_its_key_and_context() -> None:
    """The same secret hashes the same; another key, secret or context differs; an old key still finds it."""
    (once,) = Sealer(MasterKey(OLD)).hashes(b"secret", context="one")
    assert len(once) == 32
    assert Sealer(MasterKey(OLD)).hashes(b"secret", context="one") == (once,)
    assert Sealer(MasterKey(OLD)).hashes(b"secret", context="another") != (once,)
    assert Sealer(MasterKey(OLD)).hashes(b"Secret", context="one") != (once,)
    current, previous = Sealer(MasterKey(NEW, (OLD,))).hashes(b"secret", context="one")
    assert (current != once, previous) == (True, once)


@given(st.binary(max_size=500), st.text(max_size=50))
def test_what_is_sealed_opens_again(plain: bytes, context: str) -> None:
    """Any bytes, in any context."""
    sealer = Sealer(MasterKey(NEW))
    assert sealer.unseal(sealer.seal(plain, context=context), context=context) == plain


@given(st.binary(min_size=1, max_size=100), st.data())
def test_any_changed_byte_breaks_the_seal(plain: bytes, data: st.DataObject) -> None:
    """Every bit of a sealed value counts, its head included."""
    sealer = Sealer(MasterKey(NEW))
    sealed = bytearray(sealer.seal(plain, context="a secret"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        sealer.unseal(bytes(sealed), context="a secret")


@given(st.binary(max_size=80))
def test_foreign_bytes_are_a_broken_seal(foreign: bytes) -> None:
    """Whatever the database holds, the answer is SealBroken and no other error."""
    with pytest.raises(SealBroken):
        Sealer(MasterKey(NEW)).unseal(foreign, context="a secret")


def test_a_sealed_value_opens_only_in_its_context() -> None:
    """A value copied to another row is refused."""
    sealer = Sealer(MasterKey(NEW))
    sealed = sealer.seal(b"secret", context="ssh password of agent_a")
    with pytest.raises(SealBroken, match="agent_b"):
        sealer.unseal(sealed, context="ssh password of agent_b")


def test_another_master_key_says_so() -> None:
    """Started with the wrong master key, the owner learns that this is the trouble."""
    sealed = Sealer(MasterKey(OLD)).seal(b"secret", context="x")
    with pytest.raises(SealBroken, match="another master key"):
        Sealer(MasterKey(NEW)).unseal(sealed, context="x")


def test_two_seals_of_the_same_secret_differ() -> None:
    """Equal secrets can't be told from their sealed values."""
    sealer = Sealer(MasterKey(NEW))
    assert sealer.seal(b"secret", context="x") != sealer.seal(b"secret", context="x")


def test_a_new_master_key_still_opens_what_the_old_one_sealed() -> None:
    """Rotation: the first key seals, every key opens, and what is not current is known."""
    old = Sealer(MasterKey(OLD)).seal(b"secret", context="x")
    rotated = Sealer(MasterKey.parse(f"{as_text(NEW)}, {as_text(OLD)}", source="a test"))
    assert rotated.unseal(old, context="x") == b"secret"
    assert not rotated.is_current(old)
    assert rotated.is_current(rotated.seal(b"secret", context="x"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("not base64!", "not base64"),
        (as_text(bytes(16)), "holds 16 bytes"),
        (f"{as_text(NEW)} {as_text(bytes(31))}", "holds 31 bytes"),
    ],
)
def test_a_malformed_master_key_says_what_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    """The error names the setting and how to make a good key."""
    with pytest.raises(MasterKeyRefused, match=f"OUTRIDER_MASTER_KEY.*{said}|{said}"):
        load_master_key(tmp_path, text)


def test_a_master_key_never_shows() -> None:
    """Its repr and its errors hold no key material."""
    assert repr(MasterKey(NEW, (OLD,))) == "MasterKey()"


def test_the_first_start_makes_a_key_file_that_later_starts_use(tmp_path: Path) -> None:
    """The file is for its owner alone and stays the same."""
    home = tmp_path / "home"
    made = load_master_key(home, None)
    assert stat.S_IMODE((home / "master.key").stat().st_mode) == 0o600
    assert load_master_key(home, None) == made
    assert [path.name for path in home.iterdir()] == ["master.key"]


def test_the_setting_wins_and_makes_no_file(tmp_path: Path) -> None:
    """With OUTRIDER_MASTER_KEY nothing is written."""
    assert load_master_key(tmp_path, as_text(NEW)) == MasterKey(NEW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_others_may_touch_is_refused(mode: int, tmp_path: Path) -> None:
    """The refusal holds the command that closes it."""
    load_master_key(tmp_path, None)
    (tmp_path / "master.key").chmod(mode)
    with pytest.raises(MasterKeyRefused, match=f"chmod 600 {tmp_path / 'master.key'}"):
        load_master_key(tmp_path, None)


def test_two_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    """Whoever comes second waits for the first and uses its key."""
    together = threading.Barrier(4)

    def first_start(_: int) -> bytes:
        together.wait()
        return load_master_key(tmp_path, None).current

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(first_start, range(4)))) == 1
