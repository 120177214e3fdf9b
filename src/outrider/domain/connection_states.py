"""The agent's one connection state machine (seed 000's eight states) and a host's status words."""

from enum import StrEnum
from typing import Final

from outrider.domain.transitions import Transitions


class ConnectionState(StrEnum):
    """Where the agent stands with its center; the words of seed 000."""

    NOT_CONFIGURED = "NOT_CONFIGURED"
    NOT_CONNECTED = "NOT_CONNECTED"
    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    PENDING_APPROVAL = "PENDING_APPROVAL"
    DECLINED = "DECLINED"
    STOPPED = "STOPPED"
    WAITING_FOR_INCOMING_CONNECTION = "WAITING_FOR_INCOMING_CONNECTION"


_S = ConnectionState
_AWAY: Final = (_S.NOT_CONFIGURED, _S.NOT_CONNECTED, _S.STOPPED)

CONNECTION: Final = Transitions(
    ConnectionState,
    {
        _S.NOT_CONFIGURED: (_S.CONNECTING, _S.STOPPED, _S.WAITING_FOR_INCOMING_CONNECTION),
        _S.NOT_CONNECTED: (_S.CONNECTING, _S.NOT_CONFIGURED, _S.STOPPED, _S.WAITING_FOR_INCOMING_CONNECTION),
        _S.CONNECTING: (_S.CONNECTED, _S.PENDING_APPROVAL, _S.DECLINED, *_AWAY),
        _S.CONNECTED: (_S.PENDING_APPROVAL, _S.DECLINED, _S.WAITING_FOR_INCOMING_CONNECTION, *_AWAY),
        _S.PENDING_APPROVAL: (_S.CONNECTED, _S.DECLINED, _S.WAITING_FOR_INCOMING_CONNECTION, *_AWAY),
        _S.DECLINED: (_S.CONNECTING, _S.CONNECTED, _S.PENDING_APPROVAL, *_AWAY),
        _S.STOPPED: (_S.CONNECTING, _S.NOT_CONNECTED, _S.NOT_CONFIGURED, _S.WAITING_FOR_INCOMING_CONNECTION),
        _S.WAITING_FOR_INCOMING_CONNECTION: (_S.CONNECTED, _S.PENDING_APPROVAL, _S.DECLINED, *_AWAY),
    },
)


class HostStatus(StrEnum):
    """A host's status at the center (contract 002)."""

    ONLINE = "online"
    OFFLINE = "offline"
    PENDING = "pending"
    DECLINED = "declined"


class Approval(StrEnum):
    """What an administrator has said of an agent that enrolled."""

    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"


APPROVAL: Final = Transitions(
    Approval,
    {
        Approval.PENDING: (Approval.APPROVED, Approval.DECLINED),
        Approval.APPROVED: (Approval.DECLINED,),
        Approval.DECLINED: (Approval.APPROVED,),
    },
)


def status_of(approval: Approval, *, link_open: bool, heard_recently: bool) -> HostStatus:
    """Say a host's status: approval first, then whether it is reached.

    `heard_recently` means a report within three heartbeat intervals (contract 002).
    """
    if approval is Approval.PENDING:
        return HostStatus.PENDING
    if approval is Approval.DECLINED:
        return HostStatus.DECLINED
    return HostStatus.ONLINE if link_open or heard_recently else HostStatus.OFFLINE
