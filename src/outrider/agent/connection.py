"""Where this agent stands with its center: one state, one place that changes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from outrider.domain.connection_states import CONNECTION, Approval, ConnectionState
from outrider.kit import logs

log = logs.get(__name__)

FAULT_CERTIFICATE: Final = "certificate"
"""The center shows a certificate that the authority this agent trusts does not vouch for."""

_BY_APPROVAL = {
    Approval.APPROVED: ConnectionState.CONNECTED,
    Approval.PENDING: ConnectionState.PENDING_APPROVAL,
    Approval.DECLINED: ConnectionState.DECLINED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A connection state and the sentence that says why it is so; `fault` names a cause that parts go by."""

    state: ConnectionState
    reason: str = ""
    fault: str = ""


Observer = Callable[[Standing], None]


class Connection:
    """The agent's connection state. Observers are told of every change, in order, and must not raise."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self._observers: list[Observer] = []

    @property
    def state(self) -> ConnectionState:
        """The state without its reason."""
        return self.standing.state

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every change from now on."""
        self._observers.append(observer)

    def enter(self, state: ConnectionState, reason: str = "", *, fault: str = "") -> None:
        """Change the state; the same state again only renews its reason and fault.

        Raises TransitionRefused for a step that the table does not have.
        """
        standing = Standing(state, reason, fault)
        if standing == self.standing:
            return
        if state is not self.state:
            CONNECTION.check(self.state, state)
        self.standing = standing
        log.info("connection", state=state.value, reason=reason)
        for observer in self._observers:
            observer(standing)

    def judged(self, approval: Approval) -> None:
        """Enter the state that stands for what an administrator has said of this agent."""
        self.enter(_BY_APPROVAL[approval])
