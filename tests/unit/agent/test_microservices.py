"""The configurations that an agent holds: whatever is lost or comes late, it comes to what the center has."""

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.agent.microservices import Microservices
from outrider.domain.ids import AgentId, MicroserviceId
from outrider.domain.microservices import NO_MICROSERVICES, digest_of, version_of
from outrider.protocol.messages import Configs, ConfigsHeld, ConfigText, ConfigVersion, FromAgent

_A, _B = MicroserviceId("ms-a"), MicroserviceId("ms-b")
_ME = AgentId("agent_1")


class Voice:
    """A link that keeps what is said."""

    def __init__(self) -> None:
        self.open = True
        self.said: list[ConfigsHeld] = []

    @property
    def crowded(self) -> bool:
        """Never."""
        return False

    def say(self, message: FromAgent, *, within: float = 0.0) -> None:
        """Keep a message."""
        assert isinstance(message, ConfigsHeld)
        assert message.optional
        assert within == 0.0
        self.said.append(message)

    async def uncrowded(self) -> None:
        """Never waits."""


class CenterSide:
    """What a center answers, out of a dict."""

    def __init__(self) -> None:
        self.texts: dict[MicroserviceId, str] = {}

    def _versions(self) -> dict[MicroserviceId, str]:
        return {name: version_of(text) for name, text in self.texts.items()}

    def change(self, name: MicroserviceId, text: str | None) -> Configs:
        """Store or remove one, and return what the agent is told."""
        if text is None:
            self.texts.pop(name, None)
        else:
            self.texts[name] = text
        return self.tell(name)

    def tell(self, *names: MicroserviceId) -> Configs:
        """Return what is told of these."""
        return Configs(
            digest=digest_of(self._versions()),
            changed=tuple(ConfigText(name, self.texts[name]) for name in names if name in self.texts),
            removed=tuple(name for name in names if name not in self.texts),
            optional=True,
        )

    def answer(self, asked: ConfigsHeld) -> Configs | None:
        """Answer as the center does, with two texts at most."""
        if asked.wanted:
            return self.tell(*asked.wanted[:2])
        versions = self._versions()
        if asked.digest == digest_of(versions):
            return None
        known = tuple(ConfigVersion(name, version) for name, version in versions.items())
        return Configs(digest=digest_of(versions), known=known, optional=True)


async def _talk(microservices: Microservices, voice: Voice, center: CenterSide) -> None:
    while voice.said:
        answer = center.answer(voice.said.pop(0))
        if answer is not None:
            await microservices.heard(answer)


def _held(microservices: Microservices) -> dict[str, str | None]:
    return {name: microservices.config(name) for name in microservices.ids}


async def test_what_is_told_is_there_also_for_the_next_process(tmp_path: Path) -> None:
    """A change counts at once, is on the disk (for nobody else to read), and observers hear of it once."""
    path = tmp_path / "microservices.json"
    microservices, center = Microservices.load(path), CenterSide()
    heard: list[frozenset[MicroserviceId]] = []
    microservices.observe(heard.append)
    await microservices.belong_to(_ME)
    for _ in range(2):
        await microservices.heard(center.change(_A, "1"))
    assert heard == [{_A}]
    assert path.stat().st_mode & 0o777 == 0o600
    again = Microservices.load(path)
    await again.belong_to(_ME)
    assert (again.config(_A), again.config("ms-b"), again.running) == ("1", None, 0)
    assert again.ids == {_A}
    await again.heard(center.change(_A, None))
    assert Microservices.load(path).ids == frozenset()


async def test_a_change_that_was_lost_is_asked_for(tmp_path: Path) -> None:
    """A digest that differs is said; names, versions and texts follow, and nothing is asked twice."""
    microservices, center, voice = Microservices.load(tmp_path / "file"), CenterSide(), Voice()
    microservices.speak_with(voice)
    center.change(_B, "lost")
    await microservices.heard(center.change(_A, "1"))
    assert [asked.digest for asked in voice.said] == [digest_of({_A: version_of("1")})]
    await _talk(microservices, voice, center)
    assert _held(microservices) == center.texts
    assert not microservices.lacks_some


async def test_each_link_begins_with_the_digest(tmp_path: Path) -> None:
    """Also with that of nothing, since the center may have something; without a link nothing is said."""
    microservices, voice = Microservices.load(tmp_path / "file"), Voice()
    microservices.speak_with(voice)
    microservices.link_opened()
    assert [asked.digest for asked in voice.said] == [NO_MICROSERVICES]
    voice.open = False
    microservices.link_opened()
    assert len(voice.said) == 1


async def test_a_center_that_has_nothing_of_what_it_names_is_not_asked_for_ever(tmp_path: Path) -> None:
    """An answer without a text ends the asking until there is another message."""
    microservices, voice = Microservices.load(tmp_path / "file"), Voice()
    microservices.speak_with(voice)
    digest = digest_of({_A: version_of("1")})
    await microservices.heard(Configs(digest=digest, known=(ConfigVersion(_A, version_of("1")),)))
    assert voice.said.pop().wanted == (_A,)
    await microservices.heard(Configs(digest=NO_MICROSERVICES))
    assert voice.said == []
    assert not microservices.lacks_some


async def test_another_agents_microservices_are_forgotten(tmp_path: Path) -> None:
    """A host that joins another center starts with none; so does one that has left."""
    microservices, center = Microservices.load(tmp_path / "file"), CenterSide()
    heard: list[frozenset[MicroserviceId]] = []
    microservices.observe(heard.append)
    await microservices.belong_to(_ME)
    await microservices.heard(center.change(_A, "1"))
    await microservices.belong_to(_ME)
    assert microservices.ids == {_A}
    await microservices.belong_to(AgentId("agent_2"))
    assert microservices.ids == frozenset()
    await microservices.heard(center.change(_B, "1"))
    await microservices.clear()
    assert Microservices.load(tmp_path / "file").ids == microservices.ids == frozenset()
    assert heard == [{_A}, {_A}, {_B}, {_B}]


@pytest.mark.parametrize("kept", [b"", b"{", b'{"configs":5}', b"\xff"])
async def test_a_file_that_cannot_be_read_is_as_none(tmp_path: Path, kept: bytes) -> None:
    """The center says all again."""
    path = tmp_path / "file"
    path.write_bytes(kept)
    assert Microservices.load(path).ids == frozenset()


async def test_a_disk_that_takes_nothing_does_not_keep_a_change_from_counting(tmp_path: Path) -> None:
    """What the center says counts; only leaving it has to be on the disk."""
    microservices, center = Microservices.load(tmp_path / "missing" / "file"), CenterSide()
    await microservices.heard(center.change(_A, "1"))
    assert microservices.config(_A) == "1"
    with pytest.raises(OSError, match="missing"):
        await microservices.clear()
    assert microservices.ids == frozenset()


_NAMES = st.sampled_from([MicroserviceId(f"ms-{number}") for number in range(6)])
_CHANGES = st.lists(
    st.tuples(_NAMES, st.none() | st.sampled_from(["", "x", "y"]), st.sampled_from(["told", "lost", "late"])),
    max_size=30,
)


@settings(deadline=None)
@given(changes=_CHANGES, seed=st.integers(0, 2**16))
def test_whatever_is_lost_the_last_word_settles_it(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[MicroserviceId, str | None, str]], seed: int
) -> None:
    """Messages lost with their links, new links in between: after the last link both have the same."""

    async def scenario() -> None:
        rng = random.Random(seed)  # noqa: S311 - a test's order
        center, voice = CenterSide(), Voice()
        microservices = Microservices.load(tmp_path_factory.mktemp("agent") / "file")
        microservices.speak_with(voice)
        for name, text, fate in changes:
            message = center.change(name, text)
            if fate == "told":
                await microservices.heard(message)
                await _talk(microservices, voice, center)
            elif fate == "late":
                voice.said.clear()
                microservices.link_opened()
                if rng.random() < 0.5:
                    await _talk(microservices, voice, center)
        voice.said.clear()
        microservices.link_opened()
        await _talk(microservices, voice, center)
        assert _held(microservices) == center.texts
        assert not microservices.lacks_some

    asyncio.run(scenario())
