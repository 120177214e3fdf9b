"""An agent's own configuration: what each option takes, says and means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain import edge_config
from outrider.domain.edge_config import OPTIONS, Coordinates, Gps, as_text, option_called
from outrider.domain.errors import Invalid

_SEED = [
    "disk-limit",
    "disk-directory",
    "memory-limit",
    "cpu-limit",
    "controller-url",
    "cert-directory",
    "docker-url",
    "network-adapter",
    "logs-limit",
    "logs-directory",
    "logs-count",
    "status-frequency",
    "changes-frequency",
    "diagnostics-frequency",
    "device-scan-frequency",
    "isolated",
    "gps",
    "fog-type",
    "developer-mode",
    "log-level",
    "docker-pruning-frequency",
]
_OTHERS = ["disk-threshold integer", "logs-level", "disk-threshold", "time-zone"]


@pytest.mark.parametrize("name", _SEED + _OTHERS)
def test_every_name_of_the_seed_is_known(name: str) -> None:
    """The seed's names and the contract's own lead to an option."""
    assert option_called(name) is not None


def test_the_table_has_no_others_and_its_defaults_count() -> None:
    """One option a name; what is not set is read without an error."""
    assert set(OPTIONS) == {*_SEED, "disk-threshold", "time-zone"}
    for option in OPTIONS.values():
        assert option.checked(option.default) == option.default
        option.of({})
    assert option_called("no-such") is None


@pytest.mark.parametrize(
    ("name", "low", "high", "below", "above"),
    [
        ("disk-limit", "1", "1048576", "0.99", "1048577"),
        ("memory-limit", "128", "1048576", "127", "1048576.5"),
        ("cpu-limit", "5", "100", "4.9", "101"),
        ("logs-limit", "0.5", "100", "0.4", "100.1"),
        ("logs-count", "1", "100", "0", "101"),
        ("disk-threshold", "1", "100", "0", "101"),
        ("status-frequency", "1", "999999999", "0", "1000000000"),
        ("changes-frequency", "1", "86400", "0", "-1"),
        ("diagnostics-frequency", "1", "86400", "0", "1.5"),
        ("device-scan-frequency", "1", "86400", "0", "x"),
        ("docker-pruning-frequency", "1", "86400", "0", "1e3"),
    ],
)
def test_ranges_hold_at_their_ends(name: str, low: str, high: str, below: str, above: str) -> None:
    """Both ends are taken; what lies beside is refused, and the text names option and range."""
    option = OPTIONS[name]
    assert (option.checked(low), option.checked(f" {high} ")) == (low, high)
    for wrong in (below, above, "nan", "inf", "٣", "1_000", "0x10", "-5", "9" * 5000):
        with pytest.raises(Invalid) as caught:
            option.checked(wrong)
        assert option.name in caught.value.detail
        assert option.rule in caught.value.detail


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("isolated", ["on", "off"], ["true", "ON", ""]),
        ("developer-mode", ["on", "off"], ["yes", ""]),
        ("fog-type", ["auto", "intel_amd", "arm"], ["x86", ""]),
        ("docker-url", ["unix:///run/docker.sock", "tcp://10.0.0.1:2375"], ["http://x", "unix://", "docker"]),
        ("controller-url", ["", "https://c:8443", "http://127.0.0.1:1"], ["c:8443", "https://", "ftp://c"]),
        ("network-adapter", ["dynamic", "eth0", "enp3s0.100"], ["", "a b", "../x", "x" * 16, ".."]),
        ("logs-directory", ["", "/var/log/x"], ["log", "/a/../b", "/a\n"[:-1] + "\x00"]),
        ("disk-directory", ["", "/srv"], ["srv"]),
        ("cert-directory", ["", "/etc/ssl"], ["./x"]),
        ("log-level", ["", "debug", "INFO", "Severe", "finest"], ["loud", "1"]),
        ("gps", ["auto", "off", "52.5,13.4", "-90, 180"], ["", "91,0", "0,181", "1", "1,2,3", "nan,0"]),
        ("time-zone", ["", "UTC", "Europe/Berlin"], ["../etc", "a b", "/etc"]),
    ],
)
def test_words_and_places(name: str, good: list[str], bad: list[str]) -> None:
    """Each option takes what its rule says and nothing else."""
    option = OPTIONS[name]
    for text in good:
        option.checked(text)
    for text in bad:
        with pytest.raises(Invalid):
            option.checked(text)


def test_values_have_types() -> None:
    """What asks for an option gets a number, a truth or a place."""
    values = {
        "cpu-limit": "50",
        "isolated": "on",
        "gps": "52.5, -13.4",
        "log-level": "FINE",
        "disk-limit": "2",
    }
    assert edge_config.CPU_LIMIT.of(values) == 50.0
    assert edge_config.ISOLATED.of(values) is True
    assert edge_config.GPS.of(values) == Gps("manual", Coordinates(52.5, -13.4))
    assert edge_config.LOG_LEVEL.of(values) == "debug"
    assert edge_config.DISK_LIMIT.of(values) == 2.0
    assert edge_config.MEMORY_LIMIT.of(values) is None


def test_what_clients_send_is_read_as_text() -> None:
    """Numbers and truths as JSON has them are taken like their texts; lists, objects and null are not."""
    assert [as_text(value) for value in ("x", 5, 0.5, True, False)] == ["x", "5", "0.5", "on", "off"]
    wrong: list[object] = [[], {}, None]
    for value in wrong:
        with pytest.raises(ValueError, match=type(value).__name__):
            as_text(value)


@given(st.sampled_from(sorted(OPTIONS)), st.text(max_size=2000))
def test_any_text_is_taken_or_refused(name: str, text: str) -> None:
    """No text breaks a rule, and what is taken reads back the same."""
    option = OPTIONS[name]
    try:
        kept = option.checked(text)
    except Invalid:
        return
    assert option.checked(kept) == kept
