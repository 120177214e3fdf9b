"""The front door checks what it is told."""

from pathlib import Path

import pytest

from outrider.domain.command_types import REGISTRY
from outrider.domain.errors import BadParams, Invalid, UnknownType
from outrider.domain.ids import CommandId, new_command_id
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.engine import BEGIN, CommandEngine
from outrider.kit.clock import SystemClock


@pytest.fixture
def engine(tmp_path: Path) -> CommandEngine:
    """Give an engine with a scratch folder that is not there yet."""
    return CommandEngine(tmp_path / "scratch", SystemClock(), agent_version="1.2.3")


def test_every_type_has_its_work() -> None:
    """The types that the center knows are those that the host can do."""
    assert set(BEGIN) == set(REGISTRY)


def test_an_unknown_type_is_refused(engine: CommandEngine, tmp_path: Path) -> None:
    """A newer center may send what this agent does not know."""
    with pytest.raises(UnknownType):
        engine.begin(new_command_id(0), "fly", {}, Capture(tmp_path, "cmd_x"))


def test_parameters_are_checked_again(engine: CommandEngine, tmp_path: Path) -> None:
    """The host does not take the center's word for what fits."""
    with pytest.raises(BadParams, match="timeout"):
        engine.begin(new_command_id(0), "shell", {"command": "x", "timeout": -1}, Capture(tmp_path, "cmd_x"))


@pytest.mark.parametrize(
    "command_id", ["", "cmd_", "cmd_../../etc/passwd", "agent_0123456789abcdef", "cmd_a b"]
)
def test_an_id_that_could_be_a_path_is_refused(
    engine: CommandEngine, tmp_path: Path, command_id: str
) -> None:
    """The id names files and cgroups, so its shape is checked."""
    with pytest.raises(Invalid):
        engine.begin(CommandId(command_id), "ping", {}, Capture(tmp_path, "cmd_x"))
    assert not (tmp_path / "scratch").exists()
