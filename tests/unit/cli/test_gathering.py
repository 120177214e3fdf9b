"""What many hosts said, gathered."""

from hypothesis import given
from hypothesis import strategies as st

from outrider.cli.gathering import KEPT, Gathering, failures, heading, names
from outrider.client import DispatchCommand
from outrider.domain.ids import AgentId, CommandId


def ended(
    host: str, stdout: str = "", stderr: str = "", status: str = "succeeded", code: int = 0
) -> DispatchCommand:
    """A host's command that has ended."""
    return DispatchCommand(
        id=CommandId("cmd_1"),
        type="shell",
        agent_id=AgentId("agent_1"),
        label=host,
        status=status,
        exit_code=code,
        stdout=stdout,
        stderr=stderr,
    )


texts = st.sampled_from(["", "a", "b", "ab", "\ud800", "x" * (KEPT + 1), "x" * (KEPT + 2)])


@given(st.lists(st.tuples(texts, texts, st.integers(0, 2)), max_size=12))
def test_hosts_are_together_when_all_of_it_is_the_same(said: list[tuple[str, str, int]]) -> None:
    """Both streams, however long, and the exit code; every host is in one group, the largest comes first."""
    gathering = Gathering()
    for number, (out, err, code) in enumerate(said):
        gathering.add(ended(f"h{number}", out, err, "failed" if code else "succeeded", code))
    groups = gathering.groups()
    assert sorted(host for group in groups for host in group.hosts) == sorted(
        f"h{n}" for n in range(len(said))
    )
    assert len(groups) == len(set(said))
    assert all(len({said[int(host[1:])] for host in group.hosts}) == 1 for group in groups)
    sizes = [len(group.hosts) for group in groups]
    assert sizes == sorted(sizes, reverse=True)


def test_a_heading_says_how_many_and_how_they_ended() -> None:
    """One host, many hosts, nothing said, and an exit code."""
    gathering = Gathering()
    gathering.add(ended("a", "x"))
    gathering.add(ended("b", "x"))
    gathering.add(ended("c", status="failed", code=3))
    assert [heading(group) for group in gathering.groups()] == [
        "2 hosts said the same: a, b",
        "1 host said nothing (exit code 3): c",
    ]


def test_failures_are_told_by_their_way_to_end() -> None:
    """The most common first, hosts by name, and no name can forge a line."""
    lines = failures([("b", "exit code 1"), ("a", "exit code 1"), ("evil\n", "timed_out")])
    assert lines == ["exit code 1: a, b", "timed_out: evil\\n"]
    assert names([f"h{number}" for number in range(5)], most=2) == "h0, h1 and 3 more"
