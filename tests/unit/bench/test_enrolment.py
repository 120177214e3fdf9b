"""Simulated hosts as they enrol."""

from hypothesis import given
from hypothesis import strategies as st

from bench.rig.enrolment import Member, facts_of, read_members, write_members


@given(
    st.lists(
        st.builds(
            Member,
            number=st.integers(0, 99_999),
            agent_id=st.text(),
            device_id=st.text(),
            agent_key=st.text(),
        )
    )
)
def test_members_reach_the_fleets_process_as_they_were(members: list[Member]) -> None:
    """What is written for the other process is what it reads."""
    assert read_members(write_members(members)) == members


@given(st.integers(0, 99_999))
def test_simulated_hosts_have_facts_of_their_own(number: int) -> None:
    """No two hosts share a name or an address."""
    facts, other = facts_of(number), facts_of(number + 1)
    assert facts.hostname != other.hostname
    assert facts.ip != other.ip
