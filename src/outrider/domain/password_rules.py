"""Which passwords are taken. Length counts; rules about kinds of characters make people worse at it."""

from typing import Final

from outrider.domain import usernames

MIN_LENGTH: Final = 10


def reason_against(password: str, *, username: str) -> str | None:
    """Say what is wrong with a password that somebody chose; None when nothing is."""
    if len(password) < MIN_LENGTH:
        return f"A password has at least {MIN_LENGTH} characters."
    if usernames.normal(password) == usernames.normal(username):
        return "The password is the user's name; choose another."
    return None
