"""The host's tags: nothing set is lost, and the center's word replaces what it has settled."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from outrider.agent.tags import AgentTags, TagsUnkept
from outrider.domain.errors import Invalid
from outrider.domain.ids import AgentId
from outrider.protocol.messages import FromAgent, Tags, TagsSet, TagValue

_ME = AgentId("agent_0123456789abcdefghjk")
_NOW = 1000.0


class _Voice:
    """A link that keeps what is said."""

    crowded = False

    def __init__(self) -> None:
        self.open = True
        self.said: list[FromAgent] = []

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        """Keep the message; `within` does not matter here."""
        del within
        self.said.append(message)

    async def uncrowded(self) -> None:
        """There is always room."""

    def last(self) -> TagsSet:
        """Give the newest word about tags."""
        assert isinstance(self.said[-1], TagsSet)
        return self.said[-1]


def _tags(path: Path, now: float = _NOW) -> AgentTags:
    return AgentTags.load(path / "tags.json", center_now=lambda: now)


async def test_what_is_set_is_said_until_it_is_taken(tmp_path: Path) -> None:
    """A value set without a link is there at once, outlives the process, and is said on each link."""
    first = _tags(tmp_path)
    await first.belong_to(_ME)
    await first.set("site", "x1")
    again, voice = _tags(tmp_path), _Voice()
    await again.belong_to(_ME)
    again.speak_with(voice)
    assert again.all() == {"SITE": "x1"}
    again.link_opened()
    again.link_opened()
    (write,) = voice.last().writes
    assert (write.name, write.value, write.at, write.number) == ("SITE", "x1", 1_000_000, 1)
    assert voice.said == [voice.last(), voice.last()]
    assert voice.last().optional
    await again.heard(Tags(tags=(TagValue("SITE", "x1", "host", 1_000_000),), taken=1))
    again.link_opened()
    assert len(voice.said) == 2
    assert _tags(tmp_path).all() == {"SITE": "x1"}


async def test_the_center_settles(tmp_path: Path) -> None:
    """What the center says counts, removals too; a write it has not taken yet counts before it."""
    tags = _tags(tmp_path)
    await tags.heard(Tags(tags=(TagValue("A", "1", "center", 5), TagValue("B", "1", "center", 5))))
    await tags.change({"B": "2", "C": "3"})
    await tags.heard(Tags(tags=(TagValue("A", "9", "center", 6), TagValue("B", "8", "center", 6)), taken=1))
    assert tags.all() == {"A": "9", "B": "8", "C": "3"}
    await tags.heard(Tags(tags=(), taken=2))
    assert tags.all() == {}


async def test_a_removal_is_said_too(tmp_path: Path) -> None:
    """What the center set is gone here at once when it is removed here, and the center is told."""
    tags, voice = _tags(tmp_path), _Voice()
    tags.speak_with(voice)
    await tags.heard(Tags(tags=(TagValue("A", "1", "center", 5),)))
    await tags.set("A", None)
    assert tags.all() == {}
    assert voice.last().writes[0].value is None


async def test_a_write_is_later_than_what_was_known(tmp_path: Path) -> None:
    """A host whose clock is behind still writes later than what it has read."""
    tags, voice = _tags(tmp_path), _Voice()
    tags.speak_with(voice)
    await tags.heard(Tags(tags=(TagValue("A", "1", "center", 9_000_000),)))
    await tags.set("A", "2")
    assert voice.last().writes[0].at == 9_000_001
    await tags.set("A", "3")
    assert [(write.value, write.at) for write in voice.last().writes] == [("3", 9_000_002)]


async def test_observers_are_told_of_changes_only(tmp_path: Path) -> None:
    """An observer hears each change of a value once; what changes nothing is not told."""
    tags = _tags(tmp_path)
    told: list[Mapping[str, str]] = []
    tags.observe(told.append)
    await tags.set("A", "")
    await tags.heard(Tags(tags=(TagValue("A", "", "host", 7),), taken=1))
    await tags.heard(Tags(tags=(), taken=1))
    assert told == [{"A": ""}, {}]


async def test_another_agent_takes_along_what_was_set_here(tmp_path: Path) -> None:
    """After a new enrolment the host's own values are written anew; those of the old center are gone."""
    tags, voice = _tags(tmp_path), _Voice()
    await tags.belong_to(_ME)
    tags.speak_with(voice)
    await tags.heard(Tags(tags=(TagValue("A", "1", "center", 5), TagValue("B", "2", "host", 5))))
    await tags.set("C", "3")
    await tags.belong_to(AgentId("agent_zzzzzzzzzzzzzzzzzzzz"))
    tags.link_opened()
    assert tags.all() == {"B": "2", "C": "3"}
    assert {write.name for write in voice.last().writes} == {"B", "C"}
    assert _tags(tmp_path).all() == {"B": "2", "C": "3"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("AGENT_NAME", "x"), ("agent_id", ""), ("1A", ""), ("A=B", "x"), ("A", "x\ny"), ("", "")],
)
async def test_what_is_no_tag_is_refused(tmp_path: Path, name: str, value: str) -> None:
    """Nothing of a change counts when one part of it is wrong."""
    tags = _tags(tmp_path)
    with pytest.raises(Invalid):
        await tags.change({"GOOD": "1", name: value})
    assert tags.all() == {}


async def test_no_more_than_an_agent_may_have(tmp_path: Path) -> None:
    """The sixty-fifth is refused."""
    tags = _tags(tmp_path)
    await tags.change({f"T{number}": "" for number in range(64)})
    with pytest.raises(Invalid):
        await tags.set("ONE_MORE", "")
    await tags.set("T1", "other")


async def test_what_can_not_be_kept_is_not_set(tmp_path: Path) -> None:
    """Without its folder a write is refused and changes nothing; what the center says counts all the same."""
    tags = _tags(tmp_path / "gone")
    with pytest.raises(TagsUnkept):
        await tags.set("A", "1")
    assert tags.all() == {}
    await tags.heard(Tags(tags=(TagValue("A", "1", "center", 5),)))
    assert tags.all() == {"A": "1"}


async def test_a_broken_file_is_begun_anew(tmp_path: Path) -> None:
    """A file that can't be read is told of in the log, and the next write replaces it."""
    (tmp_path / "tags.json").write_text("{")
    tags = _tags(tmp_path)
    assert tags.all() == {}
    await tags.set("A", "1")
    assert _tags(tmp_path).all() == {"A": "1"}
