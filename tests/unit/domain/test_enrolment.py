"""Enrolment keys, agent keys, pins, device ids and the enrolment proof."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.enrolment import (
    EnrolmentKey,
    MalformedEnrolmentKey,
    device_id_hex,
    device_id_of_der,
    enrolment_proof,
    hash_agent_key,
    hash_secret,
    is_agent_key,
    matches,
    new_agent_key,
    new_enrolment_key,
    pin_of,
)

BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PIN = pin_of(b"a certificate")

ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=32)
secret_texts = st.text(BASE64URL, min_size=22, max_size=86)
pin_sets = st.frozensets(st.binary(max_size=40).map(pin_of), max_size=8)
keys = st.builds(EnrolmentKey, id=ids, secret=secret_texts, pins=pin_sets)


@given(keys)
def test_a_key_reads_back_as_it_was_written(key: EnrolmentKey) -> None:
    """`format` and `parse` are inverse, whatever `_` and `-` the secret holds."""
    assert EnrolmentKey.parse(key.format()) == key


@given(keys)
def test_spaces_around_a_pasted_key_do_not_matter(key: EnrolmentKey) -> None:
    """A key pasted with a line end still reads."""
    assert EnrolmentKey.parse(f"  {key.format()}\n") == key


@given(st.text(max_size=200) | secret_texts.map(lambda rest: "oek_" + rest))
def test_any_other_text_is_refused_or_is_canonical(text: str) -> None:
    """`parse` raises MalformedEnrolmentKey alone; what it takes formats back to an equal key."""
    try:
        key = EnrolmentKey.parse(text)
    except MalformedEnrolmentKey:
        return
    assert EnrolmentKey.parse(key.format()) == key


@given(keys, st.data())
def test_a_key_cut_anywhere_never_reads_as_another_pin_set(key: EnrolmentKey, data: st.DataObject) -> None:
    """A key copied only in part is refused, or at least never gains a pin that was not in it."""
    text = key.format()
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    try:
        read = EnrolmentKey.parse(cut)
    except MalformedEnrolmentKey:
        return
    assert read.pins <= key.pins


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("hello", "starts with oek_"),
        ("oak_" + "A" * 43, "agent key"),
        ("oek_abcdefgh", "no secret"),
        ("oek_ABCDEFGH_" + "s" * 43, "id must be"),
        ("oek_short_" + "s" * 43, "id must be"),
        ("oek_abcdefgh_short", "secret must be"),
        ("oek_abcdefgh_" + "s" * 43 + ".", "no pin after it"),
        ("oek_abcdefgh_" + "s" * 43 + ".abc", "43 characters"),
        ("oek_abcdefgh_" + "s" * 43 + f".{PIN}+", "43 characters"),
        ("oek_abcdefgh_" + "s" * 43 + "." + "A" * 42 + "B", "wrong last character"),
        ("oek_" + "a" * 2000, "longer than"),
        ("oek_abcdefgh_" + "s" * 43 + "." + "+".join(pin_of(bytes([n])) for n in range(9)), "9 pins"),
    ],
)
def test_a_malformed_key_says_what_is_wrong(text: str, said: str) -> None:
    """Each way a key can be broken has its own words."""
    with pytest.raises(MalformedEnrolmentKey, match=said):
        EnrolmentKey.parse(text)


def test_an_error_never_repeats_the_secret() -> None:
    """The message of a refused key can be logged."""
    with pytest.raises(MalformedEnrolmentKey) as refused:
        EnrolmentKey.parse("oek_abcdefgh_not!a!secret!but!still!private")
    assert "private" not in str(refused.value)


def test_a_keys_repr_hides_its_secret() -> None:
    """A key that lands in a log line by mistake gives nothing away."""
    key = new_enrolment_key([PIN])
    assert key.secret not in repr(key)
    assert key.id in repr(key)


def test_new_keys_differ_and_carry_their_pins() -> None:
    """Two new keys share neither id nor secret; both carry the pins they were made with."""
    one, other = new_enrolment_key([PIN]), new_enrolment_key([PIN])
    assert one.id != other.id
    assert one.secret != other.secret
    assert one.pins == other.pins == {PIN}


def test_a_key_without_pins_has_no_dot() -> None:
    """A center with a publicly trusted certificate gives keys without pins."""
    assert "." not in new_enrolment_key([]).format()


@given(secret_texts, secret_texts)
def test_only_the_secret_itself_matches_its_hash(secret: str, other: str) -> None:
    """`matches` is true for the hashed secret alone."""
    assert matches(secret, hash_secret(secret))
    assert matches(other, hash_secret(secret)) == (secret == other)


def test_a_hash_of_another_length_never_matches() -> None:
    """A truncated stored hash is a mismatch, not an error."""
    assert not matches("secret", hash_secret("secret")[:16])


def test_a_text_that_is_no_valid_unicode_is_a_mismatch() -> None:
    """A lone surrogate in a header or a body does not raise."""
    assert not matches("\ud800", hash_secret("secret"))


def test_an_agent_key_has_its_shape_and_matches_its_hash() -> None:
    """`oak_` and 43 characters of base64url."""
    key = new_agent_key()
    assert key.startswith("oak_")
    assert len(key) == len("oak_") + 43
    assert is_agent_key(key)
    assert matches(key, hash_agent_key(key))


@pytest.mark.parametrize(
    "text", ["", "oak_", "oak_short", "oek_" + "A" * 43, "oak_" + "A" * 44, "oak_" + "é" * 43]
)
def test_other_texts_are_no_agent_keys(text: str) -> None:
    """The shape check refuses near misses."""
    assert not is_agent_key(text)


@given(st.binary(max_size=200))
def test_a_pin_is_43_characters_an_enrolment_key_accepts(der: bytes) -> None:
    """Every certificate's pin fits in a key."""
    pin = pin_of(der)
    assert len(pin) == 43
    assert EnrolmentKey(id="abcdefgh", secret="s" * 43, pins=frozenset({pin})).pins == {pin}


@given(st.binary(max_size=200))
def test_a_device_id_has_two_spellings_of_one_digest(der: bytes) -> None:
    """Base32 and hexadecimal name the same SHA-256."""
    device_id = device_id_of_der(der)
    assert len(device_id) == 52
    assert device_id_hex(device_id) == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("text", ["", "A", "A" * 51, "A" * 56, "a" * 52, "1" * 52, "é" * 52])
def test_other_texts_are_no_device_ids(text: str) -> None:
    """A text that no key can have is a ValueError."""
    with pytest.raises(ValueError, match="device id"):
        device_id_hex(text)


claims = st.tuples(st.text(max_size=60), st.binary(max_size=40), st.text(max_size=40))


@given(claims, claims)
def test_different_claims_give_different_proofs(
    one: tuple[str, bytes, str], other: tuple[str, bytes, str]
) -> None:
    """No claim's bytes can be taken for another's, wherever the borders of its parts lie."""
    assert (enrolment_proof(*one) == enrolment_proof(*other)) == (one == other)


def test_the_proof_is_exactly_these_bytes() -> None:
    """The wire form is fixed: context, then each part with its length."""
    assert enrolment_proof("DEV", b"\x01\x02", "key") == (
        b"outrider enrolment 1\0\0\0\0\x03DEV\0\0\0\x02\x01\x02\0\0\0\x03key"
    )
