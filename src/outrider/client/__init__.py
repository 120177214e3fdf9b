"""The typed client of the center's API. Programs of yours may use it; our own CLI does."""

from typing import TYPE_CHECKING, Any

from outrider.client.access import (
    ApiToken,
    NewApiToken,
    NewPassword,
    NewUser,
    Provider,
    SecondFactor,
    SessionFacts,
    StreamToken,
    UserFacts,
)
from outrider.client.alerts import (
    Alert,
    AlertChannel,
    AlertNotice,
    AlertRule,
    ChannelTested,
    NoticeDelivery,
    Silence,
)
from outrider.client.answers import (
    Agent,
    AgentDetail,
    AgentGroup,
    AgentProfile,
    Build,
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
from outrider.client.audit import AuditActor, AuditEntry, AuditVerdict
from outrider.client.bundles import Bundle, BundleOffer
from outrider.client.center import AsyncCenter
from outrider.client.deployments import (
    Deployment,
    DeploymentStep,
    DeployProgress,
    SshAccess,
    SshHostKey,
)
from outrider.client.dials import Dial
from outrider.client.dispatches import (
    Dispatch,
    DispatchCommand,
    DispatchMissed,
    DispatchOutput,
    DispatchProgress,
    Skipped,
    TargetPreview,
    Unanswered,
)
from outrider.client.faults import (
    CenterAway,
    CenterFault,
    PasswordChangeRequired,
    SecondFactorRequired,
    StrangeAnswer,
    TargetRefused,
    WrongCertificate,
)
from outrider.client.files import Deleted, Download, Filed, FileInfo, Uploaded
from outrider.client.groups import Group, GroupMember, GroupProfile, Profile, ProfileParameter
from outrider.client.logs import LogAway, LogBack, LogGap, LogLine, LogNotice, LogStep
from outrider.client.looks import HostProcess, HostProcesses, HostService, HostServices
from outrider.client.microservices import Microservice, MicroserviceConfig
from outrider.client.schedules import Firing, Schedule
from outrider.client.settings import CenterSetting
from outrider.client.telemetry import MetricsAway, MetricsHistory, MetricsMissed, MetricsStep
from outrider.client.terminals import TerminalFacts
from outrider.client.trust import Authority, read_authorities
from outrider.domain.telemetry.snapshot import Snapshot

if TYPE_CHECKING:
    from outrider.client.facade import Center

__all__ = [
    "Agent",
    "AgentDetail",
    "AgentGroup",
    "AgentProfile",
    "Alert",
    "AlertChannel",
    "AlertNotice",
    "AlertRule",
    "ApiToken",
    "AsyncCenter",
    "AuditActor",
    "AuditEntry",
    "AuditVerdict",
    "Authority",
    "Build",
    "Bundle",
    "BundleOffer",
    "Center",
    "CenterAway",
    "CenterFacts",
    "CenterFault",
    "CenterSetting",
    "ChannelTested",
    "Command",
    "CommandType",
    "Deleted",
    "DeployProgress",
    "Deployment",
    "DeploymentStep",
    "Dial",
    "Dispatch",
    "DispatchCommand",
    "DispatchMissed",
    "DispatchOutput",
    "DispatchProgress",
    "Download",
    "EnrolmentKeyFacts",
    "Event",
    "EventsMissed",
    "FileInfo",
    "Filed",
    "Firing",
    "Group",
    "GroupMember",
    "GroupProfile",
    "HostProcess",
    "HostProcesses",
    "HostService",
    "HostServices",
    "LogAway",
    "LogBack",
    "LogGap",
    "LogLine",
    "LogNotice",
    "LogStep",
    "MetricsAway",
    "MetricsHistory",
    "MetricsMissed",
    "MetricsStep",
    "Microservice",
    "MicroserviceConfig",
    "Missed",
    "NewApiToken",
    "NewEnrolmentKey",
    "NewPassword",
    "NewUser",
    "NoticeDelivery",
    "Output",
    "PasswordChangeRequired",
    "Profile",
    "ProfileParameter",
    "Progress",
    "Provider",
    "Reconnecting",
    "Schedule",
    "SecondFactor",
    "SecondFactorRequired",
    "Sent",
    "Session",
    "SessionFacts",
    "SignIn",
    "Silence",
    "Skipped",
    "Snapshot",
    "SshAccess",
    "SshHostKey",
    "StateChange",
    "StrangeAnswer",
    "StreamToken",
    "TargetPreview",
    "TargetRefused",
    "TerminalFacts",
    "Unanswered",
    "Uploaded",
    "User",
    "UserFacts",
    "WrongCertificate",
    "read_authorities",
]


def __getattr__(name: str) -> Any:
    """Load the synchronous client for who asks for it: the CLI, for one, does without."""
    if name != "Center":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from outrider.client.facade import Center  # noqa: PLC0415 - see above

    return Center
