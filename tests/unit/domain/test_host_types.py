"""The parameters of the types that act on a host: what belongs together, and what is never meant."""

import signal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.command_types import parse_params
from outrider.domain.command_types.faults import ParamFault
from outrider.domain.command_types.kill import signal_number
from outrider.domain.command_types.service import unit_of
from outrider.domain.errors import BadParams


@pytest.mark.parametrize(
    ("params", "field", "said"),
    [
        ({}, "pid", "either"),
        ({"pid": 5, "name": "x", "count": 1}, "pid", "either"),
        ({"pid": 1}, "pid", "keeps the host running"),
        ({"pid": 0}, "pid", "groups"),
        ({"pid": -7}, "pid", "groups"),
        ({"pid": 5, "count": 1}, "count", "one process"),
        ({"name": "x"}, "count", "is needed"),
        ({"name": "x", "count": 0}, "count", ">= 1"),
        ({"name": "x", "count": 1, "start_ticks": 9}, "start_ticks", "goes with `pid`"),
        ({"pid": 5, "signal": "TERMINATE"}, "signal", "TERMINATE"),
        ({"pid": 5, "signal": ""}, "signal", "there is no"),
        ({"pid": 5, "signal": 0}, "signal", "1 to 64"),
        ({"pid": 5, "signal": 65}, "signal", "1 to 64"),
        ({"pid": 5, "signal": True}, "signal", "Expected"),
        ({"pid": 5, "escalate": True}, "escalate", "wait"),
        ({"pid": 5, "wait": 301}, "wait", "300"),
    ],
)
def test_what_kill_refuses(params: dict[str, Any], field: str, said: str) -> None:
    """Each rule names its field and says what to give instead; nothing of it reaches a host."""
    with pytest.raises(BadParams) as refused:
        parse_params("kill", params)
    assert refused.value.fields["field"] == field
    assert said in refused.value.detail


@given(st.integers(max_value=1))
def test_no_number_below_two_is_a_process(pid: int) -> None:
    """Process 1, the own group (0), everybody (-1) and groups are never meant."""
    with pytest.raises(BadParams):
        parse_params("kill", {"pid": pid})


@pytest.mark.parametrize("given_as", ["HUP", "hup", "SIGHUP", "sighup", "1", 1])
def test_a_signal_by_name_or_number(given_as: str | int) -> None:
    """However it is written, it is the same signal."""
    assert signal_number(given_as) == signal.SIGHUP


@given(st.one_of(st.text(), st.integers()))
def test_anything_is_a_signal_or_refused(text: str | int) -> None:
    """A number from 1 to 64 or a ParamFault, and nothing else."""
    try:
        number = signal_number(text)
    except ParamFault:
        return
    assert 1 <= number <= 64


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("nginx", "nginx.service"),
        ("nginx.service", "nginx.service"),
        ("backup.timer", "backup.timer"),
        ("getty@tty1", "getty@tty1.service"),
        ("php8.2-fpm", "php8.2-fpm.service"),
    ],
)
def test_the_unit_of_a_name(name: str, unit: str) -> None:
    """A service by its plain name; a dot in it is no kind."""
    assert unit_of(name) == unit


@pytest.mark.parametrize(
    "name", ["-H", "--now", "a b", "*.service", "a/b", "reboot.target", "x.mount", "[a]", "x" * 250, "a\n"]
)
def test_what_is_no_service(name: str) -> None:
    """Options, patterns, paths and units of other kinds never reach systemctl."""
    with pytest.raises(BadParams) as refused:
        parse_params("service", {"name": name})
    assert refused.value.fields["field"] == "name"


@pytest.mark.parametrize("name", ["systemd-poweroff", "systemd-reboot.service", "rescue"])
def test_what_takes_the_host_away(name: str) -> None:
    """It is refused where it would, and pointed to `reboot`; to look at it is fine."""
    with pytest.raises(BadParams, match="command type reboot"):
        parse_params("service", {"name": name, "action": "start"})
    parse_params("service", {"name": name, "action": "status"})


@pytest.mark.parametrize("version", ["", "0.2.0", "0.2.0-0123456789ab", "1.0.0rc1", "2!1.0+local.1"])
def test_a_version_to_update_to_is_named_or_left_to_the_center(version: str) -> None:
    """With its build or without."""
    params = parse_params("update_agent", {"version": version, "force": True})
    assert msgspec.to_builtins(params)["version"] == version


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "../0.2.0"},
        {"version": "latest"},
        {"version": "0.2.0 "},
        {"version": "0" * 81},
        {"patience": 0.5},
        {"patience": 601},
        {"timeout": 0},
        {"timeout": 3601},
        {"force": "yes"},
        {"url": "https://elsewhere"},
    ],
)
def test_what_is_no_version_to_update_to_is_refused(wrong: dict[str, object]) -> None:
    """At the center, before anything is stored, and once more on the host."""
    with pytest.raises(BadParams):
        parse_params("update_agent", wrong)
