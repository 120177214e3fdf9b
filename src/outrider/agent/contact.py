"""When the center was last heard, and what it calls this host: `contact.json` keeps it over restarts."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.files import FileTooLarge, read_bounded, write_atomically
from outrider.kit.supervise import Ready

log = logs.get(__name__)

_MAX_FILE: Final = 64 * 1024
_KEEP_EVERY: Final = 600.0


class ContactRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: unix seconds, 0 before the first contact; the label, empty before it is known."""

    last_seen: int = 0
    label: str = ""


class Contact:
    """The last contact, and the service that keeps it on disk: now and then, and when the agent stops."""

    name = "contact"

    def __init__(self, path: Path, record: ContactRecord, clock: Clock) -> None:
        self._path = path
        self._record = self._kept = record
        self._clock = clock

    @classmethod
    def load(cls, path: Path, clock: Clock) -> "Contact":
        """Read what was kept; without a file that can be read, there was no contact yet. Blocks."""
        try:
            record = msgspec.json.decode(read_bounded(path, _MAX_FILE), type=ContactRecord)
        except FileNotFoundError:
            record = ContactRecord()
        except (OSError, FileTooLarge, ValueError) as error:
            log.warning("the last contact can't be read", error=error)
            record = ContactRecord()
        return cls(path, record, clock)

    @property
    def last_seen(self) -> int:
        """When the center was last heard, in unix seconds; 0 when it never was."""
        return self._record.last_seen

    @property
    def label(self) -> str:
        """What the center calls this host; empty before it has said so."""
        return self._record.label

    def heard(self) -> None:
        """Take in that the center has just said something."""
        self._record = ContactRecord(last_seen=int(self._clock.time()), label=self._record.label)

    def welcomed(self, label: str) -> None:
        """Take in that the center has welcomed this host by this label."""
        self._record = ContactRecord(last_seen=int(self._clock.time()), label=label)

    async def serve(self, ready: Ready) -> None:
        """Keep it until cancelled."""
        ready()
        try:
            while True:
                await self._clock.sleep(_KEEP_EVERY)
                await self._keep()
        finally:
            await self._keep()

    async def _keep(self) -> None:
        record = self._record
        if record == self._kept:
            return
        try:
            await asyncio.to_thread(write_atomically, self._path, msgspec.json.encode(record), mode=0o600)
        except OSError as error:
            log.warning("the last contact can't be kept", error=error)
            return
        self._kept = record
