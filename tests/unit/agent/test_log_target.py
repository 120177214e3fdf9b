"""Where the agent logs to: as it was started, until the configuration says otherwise."""

import logging
import logging.handlers
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.agent.configuration import Configuration
from outrider.agent.configuration_checks import host_checks
from outrider.agent.log_target import LogTarget
from outrider.agent.settings import AgentSettings
from outrider.kit import logs

log = logs.get(__name__)


@pytest.fixture
def _own_log() -> Iterator[None]:
    """The log of this process, put back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def _file_handler() -> logging.handlers.RotatingFileHandler:
    found = [
        each
        for each in logging.getLogger().handlers
        if isinstance(each, logging.handlers.RotatingFileHandler)
    ]
    return found[-1]


@pytest.mark.usefixtures("_own_log")
async def test_level_folder_size_and_count_apply_at_once_and_after_a_restart(tmp_path: Path) -> None:
    """A line of the level that was asked for is in the folder that was named; the files have their bounds."""
    configuration = Configuration.load(tmp_path / "c.json", check=host_checks(allow_plain=False))
    target = LogTarget(AgentSettings(home=tmp_path), configuration)
    assert (target.level, target.folder) == ("info", "")
    folder = tmp_path / "logs"
    given = {"logs-directory": str(folder), "log-level": "debug", "logs-limit": "1", "logs-count": "4"}
    assert await configuration.change(dict(given)) == {}
    log.debug("a small thing")
    assert "a small thing" in (folder / "outrider-agent.log").read_text()
    assert (target.level, target.folder) == ("debug", str(folder))
    assert (_file_handler().maxBytes, _file_handler().backupCount) == (2**28, 3)
    await configuration.change({"log-level": "error"})
    log.warning("a middling thing")
    assert "a middling thing" not in (folder / "outrider-agent.log").read_text()
    again = Configuration.load(tmp_path / "c.json", check=host_checks(allow_plain=False))
    assert LogTarget(AgentSettings(home=tmp_path), again).level == "error"
    assert logging.getLogger().level == logging.ERROR


@pytest.mark.usefixtures("_own_log")
async def test_a_folder_that_is_gone_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    """The agent logs on where it did before."""
    configuration = Configuration.load(tmp_path / "c.json", check=host_checks(allow_plain=False))
    LogTarget(AgentSettings(home=tmp_path), configuration)
    first, second = tmp_path / "first", tmp_path / "second"
    await configuration.change({"logs-directory": str(first)})
    (tmp_path / "second").touch()
    refused = await configuration.change({"logs-directory": str(second)})
    assert list(refused) == ["logs-directory"]
    log.warning("still here")
    assert "still here" in (first / "outrider-agent.log").read_text()
