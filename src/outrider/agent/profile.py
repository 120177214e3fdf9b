"""The settings this agent has from the center, in `profile.json`: they count also without a link."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from outrider.domain.profiles import CLIENT_API_ENABLED, CLIENT_API_PORT, CLIENT_API_TOKEN_AUTH, Parameter
from outrider.kit import logs
from outrider.kit.files import FileTooLarge, read_bounded
from outrider.kit.kept_file import KeptFile
from outrider.protocol.messages import Profile

log = logs.get(__name__)

T = TypeVar("T")
Observer = Callable[[Mapping[str, str]], None]
_MAX_FILE: Final = 1024 * 1024


class ProfileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds."""

    version: int = 0
    params: dict[str, str] = {}


class AgentProfile:
    """The parameters in force. Observers are told of every change, in order, and must not raise."""

    def __init__(self, path: Path, record: ProfileRecord) -> None:
        self._file = KeptFile(path)
        self._record = record
        self._observers: list[Observer] = []

    @classmethod
    def load(cls, path: Path) -> "AgentProfile":
        """Read what was kept; without a file that can be read, all is as the defaults say. Blocks."""
        try:
            record = msgspec.json.decode(read_bounded(path, _MAX_FILE), type=ProfileRecord)
        except FileNotFoundError:
            record = ProfileRecord()
        except (OSError, FileTooLarge, ValueError) as error:
            log.warning(
                "the kept profile can't be read; until the center says it, defaults count", error=error
            )
            record = ProfileRecord()
        return cls(path, record)

    @property
    def current(self) -> Mapping[str, str]:
        """All parameters that are set, by name."""
        return MappingProxyType(self._record.params)

    @property
    def version(self) -> int:
        """The version that the center said with them; 0 before it has."""
        return self._record.version

    @property
    def client_api_enabled(self) -> bool:
        """Whether the client API is served."""
        return self._value(CLIENT_API_ENABLED)

    @property
    def client_api_port(self) -> int:
        """The port of the client API."""
        return self._value(CLIENT_API_PORT)

    @property
    def client_api_token_auth(self) -> bool:
        """Whether calls of the client API need its token."""
        return self._value(CLIENT_API_TOKEN_AUTH)

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every change from now on."""
        self._observers.append(observer)

    async def heard(self, message: Profile) -> None:
        """Take in what the center says. A full disk does not keep it from counting."""
        before, self._record = self._record, ProfileRecord(version=message.version, params=message.params)
        if self._record.params == before.params:
            return
        log.info("the profile has changed", version=message.version, parameters=sorted(message.params))
        for observer in self._observers:
            observer(self.current)
        try:
            await self._file.write(msgspec.json.encode(self._record))
        except OSError as error:
            log.warning(
                "the profile can't be kept; a restart without the center goes by the one before", error=error
            )

    def _value(self, parameter: Parameter[T]) -> T:
        try:
            return parameter.of(self._record.params)
        except ValueError:
            # A center of another release may know values that this one does not.
            log.warning("the profile has a value this agent does not know", parameter=parameter.name)
            return parameter.default
