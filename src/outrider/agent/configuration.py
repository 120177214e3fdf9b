"""This agent's own configuration, in `configuration.json`: set on this host, and in effect at once."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from outrider.agent.configuration_checks import HostCheck
from outrider.domain.edge_config import Option, as_text, option_called
from outrider.domain.errors import Invalid, Unavailable
from outrider.kit import logs
from outrider.kit.files import FileTooLarge, read_bounded
from outrider.kit.kept_file import KeptFile

log = logs.get(__name__)

T = TypeVar("T")
Observer = Callable[[frozenset[str]], None]
_MAX_FILE: Final = 1024 * 1024
_SHOWN: Final = 80


class ConfigurationUnkept(Unavailable):
    """The configuration can't be written to the disk, and is as it was before."""

    code = "configuration_unkept"


class NothingKnown(Invalid):
    """Of the names that were sent, none is an option."""

    code = "nothing_known"


class ConfigurationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: the options that are set, by name."""

    values: dict[str, str] = {}


class Configuration:
    """The options in force. Observers are told the names that have changed, in order, and must not raise."""

    def __init__(self, path: Path, record: ConfigurationRecord, *, check: HostCheck) -> None:
        """`check` says what can't be on this host; it blocks and raises `Invalid`."""
        self._file = KeptFile(path)
        self._values = dict(record.values)
        self._check = check
        self._observers: list[Observer] = []
        self._turn = asyncio.Lock()

    @classmethod
    def load(cls, path: Path, *, check: HostCheck) -> "Configuration":
        """Read what was kept; what can't be read is left out and logged. Blocks."""
        try:
            record = msgspec.json.decode(read_bounded(path, _MAX_FILE), type=ConfigurationRecord)
        except FileNotFoundError:
            record = ConfigurationRecord()
        except (OSError, FileTooLarge, ValueError) as error:
            log.warning("the kept configuration can't be read; defaults count", error=error)
            record = ConfigurationRecord()
        return cls(path, ConfigurationRecord(values=_understood(record.values)), check=check)

    @property
    def values(self) -> Mapping[str, str]:
        """All options that are set, by name."""
        return MappingProxyType(self._values)

    def of(self, option: Option[T]) -> T:
        """Return the value of an option."""
        return option.of(self._values)

    def text(self, option: Option[object]) -> str:
        """Return the text of an option."""
        return option.text(self._values)

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every change from now on."""
        self._observers.append(observer)

    @contextmanager
    def observed(self, observer: Observer) -> Iterator[None]:
        """Tell `observer` of every change while the block lasts."""
        self._observers.append(observer)
        try:
            yield
        finally:
            self._observers.remove(observer)

    async def change(self, given: Mapping[str, object]) -> dict[str, str]:
        """Set options; return why for each name that was refused, while all others are in force.

        Raises NothingKnown when no name is an option's, and ConfigurationUnkept when the disk does not take
        them: then none is in force.
        """
        if not any(option_called(name) for name in given):
            raise NothingKnown("none of these is an option of the configuration")
        async with self._turn:
            accepted: dict[str, str] = {}
            refused: dict[str, str] = {}
            for name, value in given.items():
                try:
                    option, text = await self._checked(name, value)
                except Invalid as error:
                    refused[name] = error.detail
                else:
                    accepted[option.name] = text
            changed = {name for name, text in accepted.items() if text != self._values.get(name)}
            if changed:
                await self._take({**self._values, **accepted}, frozenset(changed))
        return refused

    async def _checked(self, name: str, value: object) -> tuple[Option[object], str]:
        option = option_called(name)
        if option is None:
            raise Invalid(f"there is no option {name[:_SHOWN]!r}")
        try:
            given = as_text(value)
        except ValueError:
            raise Invalid(f"{option.name} must be a text: {option.rule}", field=option.name) from None
        text = option.checked(given)
        if text != self._values.get(option.name):
            await asyncio.to_thread(self._check, option.name, text)
        return option, text

    async def _take(self, values: dict[str, str], changed: frozenset[str]) -> None:
        try:
            await self._file.write(msgspec.json.encode(ConfigurationRecord(values=values)))
        except OSError as error:
            raise ConfigurationUnkept(
                f"The configuration can't be written to this host's disk: {error}."
            ) from error
        self._values = values
        log.info("the configuration has changed", options=sorted(changed))
        for observer in self._observers:
            observer(changed)


def _understood(values: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, text in values.items():
        option = option_called(name)
        if option is None:
            # Another release may have known more, or other ranges.
            log.warning("an option that was kept is not known", option=name[:_SHOWN])
            continue
        try:
            kept[option.name] = option.checked(text)
        except Invalid as error:
            log.warning("an option that was kept can't be used", reason=error.detail)
    return kept
