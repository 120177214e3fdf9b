"""This host's NAME=value tags: set here or at the center, and the same on both sides.

The center settles which write is the latest. What is set here is on disk before it counts, and is said until
the center has taken it; until then it counts here before what the center has said. `tags.json` holds both.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from outrider.agent.voice import Voice
from outrider.domain.errors import Invalid, Unavailable
from outrider.domain.ids import AgentId
from outrider.domain.tags import HOST, MAX_TAGS, parse_pair
from outrider.kit import logs
from outrider.kit.files import FileTooLarge, read_bounded
from outrider.kit.kept_file import KeptFile
from outrider.protocol.messages import Tags, TagsSet, TagValue, TagWrite

log = logs.get(__name__)

Observer = Callable[[Mapping[str, str]], None]
_MAX_FILE: Final = 1024 * 1024
_MAX_WAITING: Final = 256
"""Names that were set or removed here and that the center has not heard of: what one message holds."""


class TagsUnkept(Unavailable):
    """A tag can't be kept on this host until the center has it, and was not set."""

    code = "tags_unkept"


class TagsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: what the center has said of `agent_id`, and writes that it has not taken."""

    agent_id: str = ""
    number: int = 0
    known: tuple[TagValue, ...] = ()
    waiting: tuple[TagWrite, ...] = ()


class AgentTags:
    """The tags of this host. Observers are told of every change, in order, and must not raise."""

    def __init__(self, path: Path, record: TagsRecord, *, center_now: Callable[[], float]) -> None:
        """`center_now` gives the center's unix time, as far as this host knows it."""
        self._file = KeptFile(path)
        self._record = record
        self._center_now = center_now
        self._voice: Voice | None = None
        self._observers: list[Observer] = []
        self._turn = asyncio.Lock()

    @classmethod
    def load(cls, path: Path, *, center_now: Callable[[], float]) -> "AgentTags":
        """Read what was kept; with a file that can't be read, the center says its tags again. Blocks."""
        try:
            record = msgspec.json.decode(read_bounded(path, _MAX_FILE), type=TagsRecord)
        except FileNotFoundError:
            record = TagsRecord()
        except (OSError, FileTooLarge, ValueError) as error:
            log.warning("the kept tags can't be read; those not yet told to the center are lost", error=error)
            record = TagsRecord()
        return cls(path, record, center_now=center_now)

    def all(self) -> dict[str, str]:
        """Return the values by name."""
        return _values(self._record)

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every change from now on."""
        self._observers.append(observer)

    async def set(self, name: str, value: str | None) -> None:
        """Set a tag, None removes it. Returns when it is on disk. Raises `Invalid` or `TagsUnkept`."""
        await self.change({name: value})

    async def change(self, writes: Mapping[str, str | None]) -> None:
        """Set and remove tags, all of them or none. Raises `Invalid` or `TagsUnkept`."""
        parsed: dict[str, str | None] = {}
        for name, value in writes.items():
            stored, _ = parse_pair(name, value or "")
            parsed[stored] = value
        if not parsed:
            return
        async with self._turn:
            after = self._with(parsed)
            if len(_values(after)) > MAX_TAGS:
                raise Invalid(f"An agent has at most {MAX_TAGS} tags.", field="tags")
            if len(after.waiting) > _MAX_WAITING:
                raise TagsUnkept("Too many tags were changed while the center is away.")
            try:
                await self._file.write(msgspec.json.encode(after))
            except OSError as error:
                raise TagsUnkept(f"The tags can't be written to this host's disk: {error}.") from error
            self._take(after)
        self._say()

    async def belong_to(self, agent_id: AgentId) -> None:
        """Become the tags of this agent: of another one, only what was set on this host is taken along."""
        async with self._turn:
            record = self._record
            if record.agent_id == agent_id:
                return
            mine = {tag.name: tag.value for tag in record.known if tag.owner == HOST}
            mine |= {write.name: write.value for write in record.waiting if write.value is not None}
            fresh = TagsRecord(agent_id=agent_id, number=record.number)
            self._take(_with(fresh, mine, self._now()))
            await self._keep()

    def speak_with(self, voice: Voice) -> None:
        """Say what is set to the center with `voice`; said once, before there is a link."""
        self._voice = voice

    @property
    def waiting(self) -> tuple[TagWrite, ...]:
        """What was set here and is not taken by the center yet, oldest first."""
        return self._record.waiting

    def link_opened(self) -> None:
        """Say what the center has not taken yet."""
        self._say()

    async def heard(self, message: Tags) -> None:
        """Take in what the center says. A full disk does not keep it from counting."""
        async with self._turn:
            record = self._record
            waiting = tuple(write for write in record.waiting if write.number > message.taken)
            after = msgspec.structs.replace(record, known=message.tags, waiting=waiting)
            if after == record:
                return
            self._take(after)
            await self._keep()

    async def _keep(self) -> None:
        try:
            await self._file.write(msgspec.json.encode(self._record))
        except OSError as error:
            log.warning("the tags can't be kept; the center says them again", error=error)

    def _with(self, writes: Mapping[str, str | None]) -> TagsRecord:
        return _with(self._record, writes, self._now())

    def _now(self) -> int:
        return max(int(self._center_now() * 1000), 0)

    def _take(self, after: TagsRecord) -> None:
        before, self._record = _values(self._record), after
        values = _values(after)
        if values != before:
            for observer in self._observers:
                observer(values)

    def _say(self) -> None:
        if self._voice is not None and self._voice.open and self._record.waiting:
            self._voice.say(TagsSet(writes=self._record.waiting, optional=True))


def _values(record: TagsRecord) -> dict[str, str]:
    values: dict[str, str | None] = {tag.name: tag.value for tag in record.known}
    values |= {write.name: write.value for write in record.waiting}
    return {name: value for name, value in sorted(values.items()) if value is not None}


def _with(record: TagsRecord, writes: Mapping[str, str | None], now: int) -> TagsRecord:
    """Add writes, each later than all that this host knows of its name: also where its clock is behind."""
    versions = {tag.name: tag.version for tag in record.known}
    versions |= {write.name: write.at for write in record.waiting}
    number = record.number
    kept = [write for write in record.waiting if write.name not in writes]
    for name, value in writes.items():
        number += 1
        kept.append(TagWrite(name, value, max(now, versions.get(name, -1) + 1), number))
    return msgspec.structs.replace(record, number=number, waiting=tuple(kept))
