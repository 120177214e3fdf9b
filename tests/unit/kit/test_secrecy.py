"""Which names stand for secrets."""

import pytest

from outrider.kit.secrecy import is_secret_name


@pytest.mark.parametrize(
    "name",
    [
        "key", "token", "password", "secret", "authorization", "Authorization", "agent_key", "X-Agent-Key",
        "accessToken", "APIToken", "admin_password", "OUTRIDER_MASTER_KEY", "enrolment_key", "Set-Cookie",
        "tokens",
    ],
)  # fmt: skip
def test_secrets_are_known_by_their_last_word(name: str) -> None:
    """However its words are joined, a name that ends in a secret word stands for a secret."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["", "key_id", "tokenCount", "monkey", "turkey", "name", "_", "42", "passwordless"]
)
def test_other_names_are_shown(name: str) -> None:
    """A name that only contains such a word, or the letters of one, is shown."""
    assert not is_secret_name(name)
