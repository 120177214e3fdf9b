"""The command types: one registry, exact parameters, and errors that name the field."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.command_types import REGISTRY, describe, parse_params
from outrider.domain.command_types.script import ScriptParams
from outrider.domain.command_types.shell import ShellParams
from outrider.domain.errors import BadParams, UnknownType
from outrider.domain.roles import Role


def test_the_registry_is_what_it_says() -> None:
    """Each type under its own name, with a summary, and for operators or above."""
    assert set(REGISTRY) >= {"ping", "script", "shell", "system_info"}
    for name, kind in REGISTRY.items():
        assert kind.name == name
        assert kind.summary.endswith(".")
        assert kind.role.covers(Role.OPERATOR)


def test_the_defaults() -> None:
    """What need not be said."""
    shell = parse_params("shell", {"command": "df -h"})
    assert shell == ShellParams(command="df -h", timeout=3600.0, cwd=None, env={}, stdin=None, user=None)
    script = parse_params("script", {"body": "echo"})
    assert script == ScriptParams(body="echo", interpreter="/bin/sh", args=[])


def test_all_that_can_be_said() -> None:
    """Seed 002's parameters and the contract's."""
    everything = {
        "command": "x",
        "timeout": 30,
        "cwd": "/tmp",  # noqa: S108 - a path that is only looked at
        "env": {"A_1": "b"},
        "stdin": "in",
        "user": "www-data",
    }
    assert msgspec.to_builtins(parse_params("shell", everything)) == everything | {"timeout": 30.0}


@pytest.mark.parametrize(
    ("kind", "params", "field"),
    [
        ("shell", {}, "command"),
        ("shell", {"command": ""}, "command"),
        ("shell", {"command": 1}, "command"),
        ("shell", {"command": "x" * 262_145}, "command"),
        ("shell", {"command": "x", "timeout": 0}, "timeout"),
        ("shell", {"command": "x", "timeout": -1.5}, "timeout"),
        ("shell", {"command": "x", "timeout": 604_801}, "timeout"),
        ("shell", {"command": "x", "timeout": "30"}, "timeout"),
        ("shell", {"command": "x", "timeout": float("nan")}, "timeout"),
        ("shell", {"command": "x", "cwd": ""}, "cwd"),
        ("shell", {"command": "x", "user": "root; rm"}, "user"),
        ("shell", {"command": "x", "env": []}, "env"),
        ("shell", {"command": "x", "env": {"1A": "b"}}, "env"),
        ("shell", {"command": "x", "env": {"A": 1}}, "env[...]"),
        ("shell", {"command": "x", "env": {f"A{n}": "" for n in range(257)}}, "env"),
        ("shell", {"comand": "x"}, "comand"),
        ("script", {"body": "x", "args": [1]}, "args[0]"),
        ("script", {"body": "x", "args": ["a", "b", None]}, "args[2]"),
        ("script", {"interpreter": "/bin/sh"}, "body"),
        ("ping", {"x": 1}, "x"),
        ("ping", [], "params"),
        ("ping", None, "params"),
        ("system_info", {"verbose": True}, "verbose"),
    ],
)
def test_bad_parameters_name_the_field(kind: str, params: Any, field: str) -> None:
    """The error has the field, also a nested one, and the reason."""
    with pytest.raises(BadParams) as refused:
        parse_params(kind, params)
    assert refused.value.fields["field"] == field
    assert refused.value.fields["reason"]
    assert kind in refused.value.detail


def test_an_unknown_type_lists_the_known_ones() -> None:
    """A long name is shown in part only."""
    with pytest.raises(UnknownType) as refused:
        parse_params("x" * 1000, {})
    assert refused.value.fields["known"] == sorted(REGISTRY)
    assert len(refused.value.detail) < 300


@given(
    st.sampled_from(sorted(REGISTRY)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["command", "env"]), inner)
        ),
    ),
)
def test_any_json_is_parameters_or_is_refused(kind: str, params: Any) -> None:
    """Nothing else ever happens."""
    try:
        parsed = parse_params(kind, params)
    except BadParams:
        return
    assert isinstance(parsed, REGISTRY[kind].params)


def test_every_type_has_its_schema() -> None:
    """Closed objects whose fields are described."""
    for each in describe():
        assert set(each) == {"type", "summary", "role", "params"}
        definitions = each["params"]["$defs"]
        schema = definitions[each["params"]["$ref"].rpartition("/")[2]]
        assert schema["additionalProperties"] is False
        assert schema["type"] == "object"
        for name, field in schema.get("properties", {}).items():
            assert "description" in str(field), name
