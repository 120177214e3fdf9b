"""This machine, in the words of the protocol."""

from collections.abc import Callable

from outrider import __version__
from outrider.agent.installation import Installation
from outrider.agent.policy import PolicyFile
from outrider.agent.streams.logs import JOURNAL
from outrider.domain.edge_config import DYNAMIC
from outrider.engines.commands.possible import impossible
from outrider.engines.logs.journalctl import Journal
from outrider.engines.telemetry.cards import address_of
from outrider.engines.telemetry.facts import own_name, read_facts
from outrider.engines.telemetry.load import LoadMeter
from outrider.protocol.messages import Facts, Readings


class ThisHost:
    """Reads facts and load of the machine the agent runs on."""

    def __init__(
        self,
        *,
        policy: PolicyFile,
        journal: Journal,
        installation: Installation | None = None,
        card: Callable[[], str] = lambda: DYNAMIC,
    ) -> None:
        """`installation` is what this agent belongs to; without one it can't be updated.

        `card` names the network card whose address the host is known by, or says `dynamic`.
        """
        self._card = card
        self._policy = policy
        self._journal = journal
        self._installation = installation
        self._load = LoadMeter()

    @property
    def runs_as(self) -> str:
        """The user that commands run as when they name none."""
        return own_name()

    def facts(self) -> Facts:
        """Return what the host says of itself now."""
        host = read_facts()
        return Facts(
            hostname=host.hostname,
            os=host.os,
            os_family=host.os_family,
            kernel=host.kernel,
            architecture=host.architecture,
            ip=self._address() or host.ip,
            agent_version=__version__,
            agent_build=self._installation.build if self._installation else "",
            agent_target=self._installation.target if self._installation else "",
            python=host.python,
            cpus=host.cpus,
            memory_bytes=host.memory_bytes,
            runs_as=host.runs_as,
            abilities=self._abilities(),
        )

    def _address(self) -> str:
        card = self._card()
        return "" if card == DYNAMIC else address_of(card)

    def _abilities(self) -> tuple[str, ...]:
        missing = impossible() | (frozenset() if self._installation else {"update_agent"})
        allowed = tuple(name for name in self._policy.current().abilities if name not in missing)
        # A host without a journal still shows its files.
        return (*allowed, JOURNAL) if "logs" in allowed and self._journal.is_there else allowed

    def readings(self) -> Readings | None:
        """Return the host's load since the last call; None where /proc does not tell it."""
        try:
            load = self._load.read()
        except OSError:
            return None
        return Readings(
            cpu_percent=load.cpu_percent,
            mem_percent=load.mem_percent,
            disk_percent=load.disk_percent,
            uptime_s=load.uptime_s,
        )
