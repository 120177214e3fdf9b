"""What becomes of a host's commands when it comes back: nothing may run twice, nothing may be forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.command_states import ACTIVE, AT_HOST, COMMAND, CommandState
from outrider.domain.ids import CommandId
from outrider.domain.redelivery import Waiting, plan

waiting = st.lists(
    st.builds(
        Waiting,
        id=st.integers(0, 30).map(lambda number: CommandId(f"cmd_{number}")),
        state=st.sampled_from(sorted(ACTIVE)),
        was_started=st.booleans(),
        cancel_wanted=st.booleans(),
    ),
    unique_by=lambda command: command.id,
)
held = st.sets(st.integers(0, 40).map(lambda number: CommandId(f"cmd_{number}")))


@given(commands=waiting, held=held, keeps_record=st.booleans())
def test_every_command_gets_exactly_one_treatment(
    *, commands: list[Waiting], held: set[CommandId], keeps_record: bool
) -> None:
    """Sent again, given up, or left to the host that holds it; a cancel goes along, never alone."""
    made = plan(commands, held, keeps_record=keeps_record)
    for command in commands:
        treatments = (command.id in made.execute, command.id in made.interrupted, command.id in held)
        assert sum(treatments) == 1, command
        if command.cancel_wanted:
            assert (command.id in made.cancel) == (command.id not in made.interrupted)
    named = {*made.execute, *made.cancel, *made.found, *made.interrupted}
    assert named <= {command.id for command in commands}
    assert len(made.execute) == len(set(made.execute))


@given(waiting, held)
def test_without_a_record_nothing_that_may_have_run_runs_again(
    commands: list[Waiting], held: set[CommandId]
) -> None:
    """A new, old or copied spool: what was given to the host and is not held is given up."""
    made = plan(commands, held, keeps_record=False)
    states = {command.id: command.state for command in commands}
    assert all(states[each] is CommandState.QUEUED for each in made.execute)
    assert all(states[each] in AT_HOST and each not in held for each in made.interrupted)


@given(waiting, held)
def test_with_a_record_nothing_is_given_up(commands: list[Waiting], held: set[CommandId]) -> None:
    """What the host does not hold it never took, or it answers that it has run it: it is sent again."""
    made = plan(commands, held, keeps_record=True)
    assert made.interrupted == ()
    assert set(made.execute) == {command.id for command in commands} - held


@given(commands=waiting, held=held, keeps_record=st.booleans())
def test_the_steps_are_allowed_and_the_order_stays(
    *, commands: list[Waiting], held: set[CommandId], keeps_record: bool
) -> None:
    """Each found command takes a step of the table; orders go out in the order they were sent."""
    made = plan(commands, held, keeps_record=keeps_record)
    states = {command.id: command.state for command in commands}
    assert all(COMMAND.may(states[each], after) for each, after in made.found.items())
    assert all(COMMAND.may(states[each], CommandState.INTERRUPTED) for each in made.interrupted)
    assert list(made.execute) == [command.id for command in commands if command.id in made.execute]
    started = {command.id for command in commands if command.was_started}
    assert all((after is CommandState.RUNNING) == (each in started) for each, after in made.found.items())
