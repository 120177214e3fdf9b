"""The typed client of the center's API. Programs of yours may use it; our own CLI does."""

from outrider.client.answers import (
    Agent,
    AgentDetail,
    CenterFacts,
    Command,
    CommandType,
    EnrolmentKeyFacts,
    Event,
    EventsMissed,
    Missed,
    NewEnrolmentKey,
    Output,
    Progress,
    Reconnecting,
    Sent,
    Session,
    SignIn,
    StateChange,
    User,
)
from outrider.client.center import AsyncCenter
from outrider.client.facade import Center
from outrider.client.faults import CenterAway, CenterFault, StrangeAnswer, WrongCertificate
from outrider.client.trust import Authority, read_authorities

__all__ = [
    "Agent",
    "AgentDetail",
    "AsyncCenter",
    "Authority",
    "Center",
    "CenterAway",
    "CenterFacts",
    "CenterFault",
    "Command",
    "CommandType",
    "EnrolmentKeyFacts",
    "Event",
    "EventsMissed",
    "Missed",
    "NewEnrolmentKey",
    "Output",
    "Progress",
    "Reconnecting",
    "Sent",
    "Session",
    "SignIn",
    "StateChange",
    "StrangeAnswer",
    "User",
    "WrongCertificate",
    "read_authorities",
]
