"""The agent's own configuration: what is refused is named, the rest is in force, kept, and told of."""

import stat
from pathlib import Path

import pytest

from outrider.agent.configuration import Configuration, ConfigurationUnkept, NothingKnown
from outrider.agent.configuration_checks import host_checks
from outrider.domain.edge_config import CPU_LIMIT, DISK_THRESHOLD, LOG_LEVEL, STATUS_FREQUENCY
from outrider.domain.errors import Invalid

_CHECK = host_checks(allow_plain=False)


def _load(path: Path) -> Configuration:
    return Configuration.load(path / "configuration.json", check=_CHECK)


async def test_each_refused_value_is_named_and_the_others_are_in_force(tmp_path: Path) -> None:
    """The answer has a text for each refused name, as it was sent; the rest is told once and kept."""
    configuration = _load(tmp_path)
    told: list[frozenset[str]] = []
    configuration.observe(told.append)
    refused = await configuration.change(
        {
            "cpu-limit": "50",
            "logs-level": "FINE",
            "disk-threshold integer": 30,
            "disk-limit": "0",
            "network-adapter": "no-such-card",
            "gps": ["1", "2"],
            "colour": "red",
        }
    )
    assert set(refused) == {"disk-limit", "network-adapter", "gps", "colour"}
    assert all(name in text for name, text in refused.items())
    assert told == [frozenset({"cpu-limit", "log-level", "disk-threshold"})]
    again = _load(tmp_path)
    for each in (configuration, again):
        assert (each.of(CPU_LIMIT), each.of(LOG_LEVEL), each.of(DISK_THRESHOLD)) == (50.0, "debug", 30.0)
        assert each.of(STATUS_FREQUENCY) == 10
    assert stat.S_IMODE((tmp_path / "configuration.json").stat().st_mode) == 0o600


async def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    """Nobody is told of a value that is in force already, nor after the block that observed."""
    configuration = _load(tmp_path)
    told: list[frozenset[str]] = []
    with configuration.observed(told.append):
        await configuration.change({"cpu-limit": "50"})
        await configuration.change({"cpu-limit": " 50 "})
    await configuration.change({"cpu-limit": "60"})
    assert told == [frozenset({"cpu-limit"})]


@pytest.mark.parametrize("given", [{}, {"colour": "red"}, {"CPU-LIMIT": "5"}])
async def test_without_a_known_name_nothing_is_done(tmp_path: Path, given: dict[str, object]) -> None:
    """The caller has to look at the names."""
    with pytest.raises(NothingKnown):
        await _load(tmp_path).change(given)


async def test_a_disk_that_takes_nothing_keeps_all_as_it_was(tmp_path: Path) -> None:
    """What could not survive a restart is not in force, and the caller hears of it."""
    configuration = _load(tmp_path / "gone")
    told: list[frozenset[str]] = []
    configuration.observe(told.append)
    with pytest.raises(ConfigurationUnkept):
        await configuration.change({"cpu-limit": "50"})
    assert (configuration.of(CPU_LIMIT), told) == (100.0, [])


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"values": 3}', '{"values": {"cpu-limit": "900", "colour": "red"}}', "\ud800"],
)
def test_a_file_that_can_not_be_used_means_defaults(tmp_path: Path, content: str) -> None:
    """Whatever is in the file, the agent starts; what can be used of it counts."""
    (tmp_path / "configuration.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert dict(_load(tmp_path).values) == {}


async def test_places_are_looked_at_on_the_host(tmp_path: Path) -> None:
    """A folder that can't be, a card, a zone or an address that is none is refused; a folder is made."""
    configuration = _load(tmp_path)
    (tmp_path / "file").touch()
    wrong = {
        "logs-directory": str(tmp_path / "file" / "below"),
        "cert-directory": str(tmp_path / "nowhere"),
        "time-zone": "Mars/Olympus",
        "controller-url": "http://elsewhere.example",
    }
    assert set(await configuration.change(dict(wrong))) == set(wrong)
    good = {
        "logs-directory": str(tmp_path / "made" / "here"),
        "cert-directory": str(tmp_path),
        "time-zone": "Europe/Berlin",
        "controller-url": "https://elsewhere.example",
        "network-adapter": "lo",
    }
    assert await configuration.change(dict(good)) == {}
    assert dict(configuration.values) == good
    assert (tmp_path / "made" / "here").is_dir()
    assert await configuration.change(dict.fromkeys(set(good) - {"network-adapter"}, "")) == {}


def test_a_check_names_its_option() -> None:
    """A sentence about a card says which option is meant."""
    with pytest.raises(Invalid, match="network-adapter: there is no network card 'x1'"):
        _CHECK("network-adapter", "x1")
