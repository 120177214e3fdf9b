"""Every table of the center, as SQLAlchemy Core. A change here comes with a migration (migrations/README.md).

Times are unix seconds. A state, an approval, a role is the text of its enum in `domain`: the database does
not know the lists, so that an older release beside a newer one reads what it can.
"""

from outrider.center.store.schema.access import (
    api_tokens,
    identities,
    recovery_codes,
    second_factors,
    sessions,
    users,
)
from outrider.center.store.schema.alerts import (
    IS_GOING_ON,
    IS_UNRESOLVED,
    IS_WAITING,
    alert_channels,
    alert_rules,
    alerts,
    deliveries,
    notices,
    outages,
    silences,
)
from outrider.center.store.schema.audit import audit
from outrider.center.store.schema.base import metadata
from outrider.center.store.schema.bundles import bundles
from outrider.center.store.schema.commands import (
    IN_DISPATCH,
    IS_ACTIVE,
    IS_QUEUED,
    command_output,
    commands,
    idempotency,
)
from outrider.center.store.schema.deployments import IS_UNDER_WAY, deployments, ssh_host_keys
from outrider.center.store.schema.dials import dials
from outrider.center.store.schema.dispatches import IS_UNFINISHED, dispatches
from outrider.center.store.schema.fleet import (
    agent_certificates,
    agent_details,
    agent_tags,
    agents,
    enrolment_keys,
)
from outrider.center.store.schema.groups import group_members, groups, profiles, removed_tags
from outrider.center.store.schema.log import counters, events, meta
from outrider.center.store.schema.microservices import microservices
from outrider.center.store.schema.schedules import IS_CLAIMED, firings, schedules
from outrider.center.store.schema.telemetry import minute_rows
from outrider.center.store.schema.terminals import IS_OPEN, terminals

__all__ = [
    "IN_DISPATCH",
    "IS_ACTIVE",
    "IS_CLAIMED",
    "IS_GOING_ON",
    "IS_OPEN",
    "IS_QUEUED",
    "IS_UNDER_WAY",
    "IS_UNFINISHED",
    "IS_UNRESOLVED",
    "IS_WAITING",
    "agent_certificates",
    "agent_details",
    "agent_tags",
    "agents",
    "alert_channels",
    "alert_rules",
    "alerts",
    "api_tokens",
    "audit",
    "bundles",
    "command_output",
    "commands",
    "counters",
    "deliveries",
    "deployments",
    "dials",
    "dispatches",
    "enrolment_keys",
    "events",
    "firings",
    "group_members",
    "groups",
    "idempotency",
    "identities",
    "meta",
    "metadata",
    "microservices",
    "minute_rows",
    "notices",
    "outages",
    "profiles",
    "recovery_codes",
    "removed_tags",
    "schedules",
    "second_factors",
    "sessions",
    "silences",
    "ssh_host_keys",
    "terminals",
    "users",
]
