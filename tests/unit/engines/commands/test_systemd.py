"""Reading what systemctl prints, whatever is in it."""

from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.looks import Service
from outrider.engines.commands.systemd import joined, own_units, parse_show, parse_unit_files

# As printed by systemd 252, of a unit and of a name that there is none of.
_SHOWN = """\
MainPID=512
Result=success
ExecMainStatus=0
MemoryCurrent=5910528
NRestarts=0
Id=ssh.service
Description=OpenBSD Secure Shell server = sshd
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
StateChangeTimestampMonotonic=2412345

MainPID=0
Result=success
MemoryCurrent=[not set]
NRestarts=0
Id=nothing.service
Description=nothing.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
StateChangeTimestampMonotonic=0
"""


def test_units_are_told_apart() -> None:
    """An empty line ends a unit; a value may hold the sign that names end with."""
    first, second = parse_show(_SHOWN)
    assert first["Description"] == "OpenBSD Secure Shell server = sshd"
    assert second["LoadState"] == "not-found"
    assert parse_show("") == []


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["Description", "LoadState", "X"]),
            st.text(st.characters(exclude_categories=["C", "Z"])),
        )
    )
)
def test_what_was_printed_is_read(units: list[dict[str, str]]) -> None:
    """Whatever the values are, each unit has its own."""
    named = [{"Id": f"{number}.service", **unit} for number, unit in enumerate(units)]
    text = "\n".join("".join(f"{key}={value}\n" for key, value in unit.items()) for unit in named)
    assert parse_show(text) == named


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """Nothing that is printed breaks the reader."""
    assert all(unit["Id"] for unit in parse_show(text))
    assert not any(name.endswith("@.service") for name in parse_unit_files(text))


def test_disk_and_memory_are_joined() -> None:
    """What is loaded counts; what only lies on disk is there, too, and all come by name."""
    loaded = Service(
        name="b.service", description="B", load="loaded", active="active", sub="x", enabled="enabled"
    )
    names = [each.name for each in joined([loaded], {"a.service": "disabled", "b.service": "static"})]
    assert names == ["a.service", "b.service"]
    assert joined([loaded], {"b.service": "static"}) == [loaded]


def test_own_services() -> None:
    """Those around this process, in either version of cgroups; slices and scopes are no services."""
    assert own_units("0::/system.slice/outrider-agent.service/daemon\n") == {"outrider-agent.service"}
    assert own_units("1:name=systemd:/user.slice/user@0.service/app.slice/x.service\n2:cpu:/\n") == {
        "user@0.service",
        "x.service",
    }
    assert own_units("0::/init.scope\n") == frozenset()
