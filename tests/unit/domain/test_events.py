"""Who may read which events."""

import pytest

from outrider.domain.events import may_read
from outrider.domain.roles import Role


@pytest.mark.parametrize("kind", ["user.changed", "session.opened", "session.ended", "token.made"])
def test_what_is_told_of_people_is_theirs_and_administrators(kind: str) -> None:
    """As with the routes: nobody else may list users, their sessions or tokens."""
    readers = {role for role in Role if may_read(kind, "user_1", role=role, user_id="user_2")}
    assert readers == {Role.ADMIN, Role.SUPER_ADMIN}
    assert all(may_read(kind, "user_1", role=role, user_id="user_1") for role in Role)


@pytest.mark.parametrize("kind", ["agent.online", "terminal.opened", "users.counted"])
def test_all_else_is_for_everybody(kind: str) -> None:
    """Who may follow the log may see the fleet."""
    assert all(may_read(kind, "agent_1", role=role, user_id="user_1") for role in Role)
