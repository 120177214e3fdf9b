"""The one place of the connection state."""

import pytest

from outrider.agent.connection import Connection, Standing
from outrider.domain.connection_states import Approval, ConnectionState
from outrider.domain.transitions import TransitionRefused

S = ConnectionState


def test_observers_hear_each_change_once() -> None:
    """Every change of state or reason is told in order; the same again is not."""
    connection, heard = Connection(Standing(S.NOT_CONFIGURED)), list[Standing]()
    connection.observe(heard.append)
    connection.enter(S.CONNECTING)
    connection.enter(S.CONNECTING)
    connection.judged(Approval.PENDING)
    connection.judged(Approval.APPROVED)
    connection.enter(S.NOT_CONNECTED, "why")
    assert [standing.state for standing in heard] == [
        S.CONNECTING,
        S.PENDING_APPROVAL,
        S.CONNECTED,
        S.NOT_CONNECTED,
    ]
    assert heard[-1].reason == "why"


def test_a_step_that_is_not_in_the_table_is_refused() -> None:
    """The table of domain.connection_states holds here."""
    connection = Connection(Standing(S.CONNECTED))
    with pytest.raises(TransitionRefused):
        connection.enter(S.CONNECTING)
    assert connection.state is S.CONNECTED
