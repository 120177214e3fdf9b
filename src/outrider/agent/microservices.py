"""The microservices of this host and their configurations, as the center says them: `microservices.json`.

What is there counts also without a link. Whether it is all that the center has is told by one digest, which
the agent says on each link and which the center says with each change: where the two differ the agent is told
all names and versions, and asks for the texts that it lacks.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from outrider.agent.voice import Voice
from outrider.domain.ids import AgentId, MicroserviceId
from outrider.domain.microservices import MAX_CONFIGS, digest_of, version_of
from outrider.kit import logs
from outrider.kit.files import FileTooLarge, read_bounded
from outrider.kit.kept_file import KeptFile
from outrider.protocol.messages import MAX_WANTED, Configs, ConfigsHeld

log = logs.get(__name__)

Observer = Callable[[frozenset[MicroserviceId]], None]
_MAX_FILE: Final = 8 * MAX_CONFIGS
"""A character may take six bytes in JSON."""


class MicroservicesRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds: the configurations of `agent_id`, by microservice."""

    agent_id: str = ""
    configs: dict[MicroserviceId, str] = {}


class Microservices:
    """The configurations in force. Observers are told which have changed or are gone, and must not raise."""

    def __init__(self, path: Path, record: MicroservicesRecord) -> None:
        self._file = KeptFile(path)
        self._agent_id = record.agent_id
        self._configs: Mapping[MicroserviceId, str] = record.configs
        self._versions = {name: version_of(config) for name, config in record.configs.items()}
        self._missing: tuple[MicroserviceId, ...] = ()
        self._voice: Voice | None = None
        self._observers: list[Observer] = []

    @classmethod
    def load(cls, path: Path) -> "Microservices":
        """Read what was kept; with a file that can't be read, the center says all again. Blocks."""
        try:
            record = msgspec.json.decode(read_bounded(path, _MAX_FILE), type=MicroservicesRecord)
        except FileNotFoundError:
            record = MicroservicesRecord()
        except (OSError, FileTooLarge, ValueError) as error:
            log.warning("the kept configurations can't be read; the center says them again", error=error)
            record = MicroservicesRecord()
        return cls(path, record)

    @property
    def ids(self) -> frozenset[MicroserviceId]:
        """The microservices that this host knows."""
        return frozenset(self._configs)

    @property
    def running(self) -> int:
        """How many containers run: this agent has no engine that runs any."""
        return 0

    def config(self, microservice: str) -> str | None:
        """Return a microservice's configuration; None for one that is not known here."""
        return self._configs.get(MicroserviceId(microservice))

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every change from now on."""
        self._observers.append(observer)

    async def belong_to(self, agent_id: AgentId) -> None:
        """Become the microservices of this agent: those of another one are forgotten."""
        if self._agent_id != agent_id:
            self._agent_id = agent_id
            self._take({})
            await self._keep()

    async def clear(self) -> None:
        """Forget all: this host has left its center. Raises OSError when the disk does not let them go."""
        self._agent_id = ""
        self._missing = ()
        self._take({})
        await self._file.write(self._encoded())

    def speak_with(self, voice: Voice) -> None:
        """Ask the center with `voice`; said once for each link's carrier, before there is a link."""
        self._voice = voice

    @property
    def held(self) -> ConfigsHeld:
        """What the center is asked next: for the texts that are missing, else whether these are all."""
        return ConfigsHeld(digest=digest_of(self._versions), wanted=self._missing[:MAX_WANTED], optional=True)

    @property
    def lacks_some(self) -> bool:
        """Whether there are texts that the center has not said yet."""
        return bool(self._missing)

    def link_opened(self) -> None:
        """Say what is held."""
        self._missing = ()
        self._say()

    async def heard(self, message: Configs) -> None:
        """Take in what the center says. A full disk does not keep it from counting."""
        after = dict(self._configs)
        after |= {each.id: each.config for each in message.changed}
        for name in message.removed:
            after.pop(name, None)
        if message.known is not None:
            known = {each.id for each in message.known}
            after = {name: config for name, config in after.items() if name in known}
        has_changed = self._take(after)
        self._missing = self._still_missing(message)
        if has_changed:
            await self._keep()
        is_all = message.known is not None or digest_of(self._versions) == message.digest
        if self._missing or not is_all:
            self._say()

    def _still_missing(self, message: Configs) -> tuple[MicroserviceId, ...]:
        if message.known is not None:
            return tuple(each.id for each in message.known if self._versions.get(each.id) != each.version)
        told = {each.id for each in message.changed} | set(message.removed)
        # Nothing told means nothing to be had: asking again would go round and round.
        return tuple(name for name in self._missing if name not in told) if told else ()

    def _take(self, after: Mapping[MicroserviceId, str]) -> bool:
        before, self._configs = self._configs, after
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        for name in changed:
            if name in after:
                self._versions[name] = version_of(after[name])
            else:
                del self._versions[name]
        if changed:
            log.info("configurations have changed", microservices=len(changed), known=len(after))
            for observer in self._observers:
                observer(frozenset(changed))
        return bool(changed)

    async def _keep(self) -> None:
        try:
            await self._file.write(self._encoded())
        except OSError as error:
            log.warning("the configurations can't be kept; the center says them again", error=error)

    def _encoded(self) -> bytes:
        return msgspec.json.encode(MicroservicesRecord(agent_id=self._agent_id, configs=dict(self._configs)))

    def _say(self) -> None:
        if self._voice is not None and self._voice.open:
            self._voice.say(self.held)
