"""The state tables, held against tables written by hand: a step that is added or lost fails here."""

from enum import Enum
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.command_states import ACTIVE, AT_HOST, COMMAND, FINAL, TASK, CommandState, TaskState
from outrider.domain.connection_states import (
    APPROVAL,
    CONNECTION,
    Approval,
    ConnectionState,
    HostStatus,
    status_of,
)
from outrider.domain.deployments import DEPLOYMENT, DeploymentState
from outrider.domain.transitions import TransitionRefused, Transitions
from outrider.protocol.link import LINK, LinkState

_ENDS: Final = "succeeded failed timed_out cancelled expired interrupted"
_LOST: Final = "NOT_CONFIGURED NOT_CONNECTED STOPPED"
_WAITING: Final = "WAITING_FOR_INCOMING_CONNECTION"

TABLES: Final[list[tuple[type[Enum], Transitions[Any], dict[str, str]]]] = [
    (
        CommandState,
        COMMAND,
        {
            "queued": f"sent running {_ENDS}",
            "sent": f"running unknown {_ENDS}",
            "running": f"unknown {_ENDS}",
            "unknown": f"sent running {_ENDS}",
        },
    ),
    (TaskState, TASK, {"accepted": "started done", "started": "done", "done": "confirmed"}),
    (
        Approval,
        APPROVAL,
        {"pending": "approved declined", "approved": "declined", "declined": "approved"},
    ),
    (
        DeploymentState,
        DEPLOYMENT,
        {
            "waiting": "running failed cancelled interrupted",
            "running": "deployed failed cancelled interrupted",
        },
    ),
    (
        LinkState,
        LINK,
        {"greeting": "deciding open closed", "deciding": "open closed", "open": "closed"},
    ),
    (
        ConnectionState,
        CONNECTION,
        {
            "NOT_CONFIGURED": f"CONNECTING STOPPED {_WAITING}",
            "NOT_CONNECTED": f"CONNECTING NOT_CONFIGURED STOPPED {_WAITING}",
            "CONNECTING": f"CONNECTED PENDING_APPROVAL DECLINED {_LOST}",
            "CONNECTED": f"PENDING_APPROVAL DECLINED {_WAITING} {_LOST}",
            "PENDING_APPROVAL": f"CONNECTED DECLINED {_WAITING} {_LOST}",
            "DECLINED": f"CONNECTING CONNECTED PENDING_APPROVAL {_LOST}",
            "STOPPED": f"CONNECTING NOT_CONNECTED NOT_CONFIGURED {_WAITING}",
            _WAITING: f"CONNECTED PENDING_APPROVAL DECLINED {_LOST}",
        },
    ),
]


@pytest.mark.parametrize(("kind", "machine", "table"), TABLES)
def test_every_step_is_in_the_table_and_no_other(
    kind: type[Enum], machine: Transitions[Any], table: dict[str, str]
) -> None:
    """For each pair of states: allowed if the table says so, refused by name if not."""
    for current in kind:
        allowed = table.get(current.value, "").split()
        assert {each.value for each in machine.after(current)} == set(allowed)
        for after in kind:
            assert machine.may(current, after) == (after.value in allowed)
            assert (current in machine.before(after)) == (after.value in allowed)
            if after.value in allowed:
                assert machine.check(current, after) is after
            else:
                with pytest.raises(TransitionRefused, match=f"{current.value} can't become {after.value}"):
                    machine.check(current, after)


@pytest.mark.parametrize(("kind", "machine", "table"), TABLES)
def test_states_without_a_row_are_final(
    kind: type[Enum], machine: Transitions[Any], table: dict[str, str]
) -> None:
    """What has no step out of it is final, and nothing else is."""
    assert {each.value for each in machine.final} == {each.value for each in kind} - table.keys()


def test_the_kinds_of_command_states() -> None:
    """Six are final; `unknown` is not, and is the host's to decide like `sent` and `running`."""
    assert {state.value for state in FINAL} == set(_ENDS.split())
    assert {state.value for state in ACTIVE} == {"queued", "sent", "running", "unknown"}
    assert {state.value for state in AT_HOST} == {"sent", "running", "unknown"}


@given(st.lists(st.sampled_from(CommandState)))
def test_a_command_never_leaves_a_final_state(wanted: list[CommandState]) -> None:
    """Whatever steps are tried in whatever order, the first final state is the last state."""
    state = CommandState.QUEUED
    ended: CommandState | None = None
    for after in wanted:
        if COMMAND.may(state, after):
            assert ended is None
            state = after
        ended = ended or (state if state in FINAL else None)
    assert ended in (None, state)


@pytest.mark.parametrize(
    ("approval", "link_open", "heard", "status"),
    [
        ("pending", False, False, "pending"),
        ("pending", True, True, "pending"),
        ("declined", True, True, "declined"),
        ("approved", True, False, "online"),
        ("approved", False, True, "online"),
        ("approved", False, False, "offline"),
    ],
)
def test_a_hosts_status(approval: str, *, link_open: bool, heard: bool, status: str) -> None:
    """Approval comes first; then online is a link or a recent report."""
    found = status_of(Approval(approval), link_open=link_open, heard_recently=heard)
    assert found is HostStatus(status)


def test_every_connection_state_is_reached_and_leads_to_a_connection() -> None:
    """From the first state each of the eight can come about, and from each a connection."""

    def reached_from(start: ConnectionState) -> set[ConnectionState]:
        found, new = {start}, {start}
        while new:
            new = {after for state in new for after in CONNECTION.after(state)} - found
            found |= new
        return found

    assert reached_from(ConnectionState.NOT_CONFIGURED) == set(ConnectionState)
    assert all(ConnectionState.CONNECTED in reached_from(state) for state in ConnectionState)
