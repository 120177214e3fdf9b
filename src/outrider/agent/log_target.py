"""Where the agent logs to, and how much: as it was started, until the configuration says otherwise."""

from pathlib import Path
from typing import Final

from outrider.agent.configuration import Configuration
from outrider.agent.settings import AgentSettings
from outrider.domain.edge_config import LOG_LEVEL, LOGS_COUNT, LOGS_DIRECTORY, LOGS_LIMIT
from outrider.kit import logs

log = logs.get(__name__)

_NAME: Final = "outrider-agent.log"
_GIB: Final = 1024**3
_FILE_BYTES: Final = 16 * 1024 * 1024
_FILES: Final = 6
_OPTIONS: Final = frozenset(option.name for option in (LOG_LEVEL, LOGS_COUNT, LOGS_DIRECTORY, LOGS_LIMIT))


class LogTarget:
    """Points the process's log where configuration and settings say, from its making on at each change."""

    def __init__(self, settings: AgentSettings, configuration: Configuration) -> None:
        self._settings = settings
        self._configuration = configuration
        configuration.observe(self._changed)
        if not _OPTIONS.isdisjoint(configuration.values):
            self._point()

    @property
    def level(self) -> str:
        """The least important lines that are logged."""
        return self._configuration.of(LOG_LEVEL) or self._settings.log_level

    @property
    def folder(self) -> str:
        """The folder of the log files, empty when it goes to standard error."""
        file = self._file()
        return "" if file is None else str(file.parent)

    def _changed(self, names: frozenset[str]) -> None:
        if not _OPTIONS.isdisjoint(names):
            self._point()

    def _file(self) -> Path | None:
        folder = self._configuration.of(LOGS_DIRECTORY)
        if folder:
            return Path(folder) / _NAME
        return Path(self._settings.log_file) if self._settings.log_file else None

    def _point(self) -> None:
        limit = self._configuration.of(LOGS_LIMIT)
        # One file that is begun anew would have nothing in it just then: there are two at the least.
        files = max(2, self._configuration.of(LOGS_COUNT) or _FILES)
        try:
            logs.configure(
                self.level,
                format=self._settings.log_format,
                file=self._file(),
                max_bytes=_FILE_BYTES if limit is None else int(limit * _GIB / files),
                keep=files - 1,
            )
        except OSError as error:
            log.warning("the log can't go where the configuration says; it goes on as before", error=error)
