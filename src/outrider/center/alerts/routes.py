"""Routes of alerts."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from outrider.center.alerts.rows import AlertFilter
from outrider.center.alerts.service import (
    AlertService,
    AlertView,
    ChannelView,
    NoticeView,
    RuleView,
    SilenceView,
    Tested,
)
from outrider.center.http.callers import Caller, access
from outrider.center.http.paging import next_page
from outrider.center.http.problems import documented
from outrider.domain.alerts.rules import Condition, Severity
from outrider.domain.alerts.states import COUNTS, AlertState
from outrider.domain.roles import Role

Alerts = NamedDependency[AlertService]
Asked = Request[Caller, Any, Any]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Target = Annotated[str, Meta(min_length=1)]
Url = Annotated[str, Meta(min_length=1, max_length=2000)]
Reason = Annotated[str, Meta(max_length=500)]
Repeat = Annotated[float, Meta(ge=0, le=30 * 86_400)]
Id = Annotated[str, Meta(max_length=80)]
Moment = Annotated[float, Meta(ge=0, le=1e11)]
Channels = Annotated[list[Id], Meta(max_length=20)]
MOST_SHOWN: Final = 1000
_PAGE: Final = 100
_FIRING: Final = tuple(sorted(COUNTS))


class RuleBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A rule to be made. A reminder is sent each `repeat_s` seconds while it fires (from 300; null: none)."""

    name: Name
    when: Condition
    target: Target
    severity: Severity = Severity.WARNING
    channels: Channels = []
    repeat_s: Repeat | None = None
    enabled: bool = True


class RuleChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a rule; what is left out stays. A `repeat_s` of 0 ends reminders."""

    name: Name | UnsetType = UNSET
    when: Condition | UnsetType = UNSET
    target: Target | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    channels: Channels | UnsetType = UNSET
    repeat_s: Repeat | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ChannelBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A channel to be made: an address as apprise reads them. It is never shown again."""

    name: Name
    url: Url


class ChannelChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a channel; null leaves it."""

    name: Name | None = None
    url: Url | None = None


class SilenceBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A silence to be made: of a target's hosts, of a rule, or of both. It starts now if not later."""

    ends: Moment
    target: Target | None = None
    rule_id: Id | None = None
    starts: Moment | None = None
    reason: Reason = ""


class AcknowledgeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which alerts somebody has seen: these, or all that a rule fires for."""

    ids: Annotated[list[Id], Meta(max_length=MOST_SHOWN)] | None = None
    rule_id: Id | None = None


class Acknowledged(msgspec.Struct, kw_only=True):
    """How many alerts are acknowledged that were not before."""

    count: int


class Deleted(msgspec.Struct, kw_only=True):
    """It is gone."""

    status: str = "deleted"


@get("/alerts", opt=access(Role.VIEWER))
async def list_alerts(
    request: Asked,
    alerts: Alerts,
    in_state: Annotated[list[AlertState] | None, QueryParameter(name="state")] = None,
    rule_id: FromQuery[str | None] = None,
    agent_id: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_SHOWN)] = _PAGE,
    after: FromQuery[str | None] = None,
) -> Response[list[AlertView]]:
    """List alerts, newest first: those that fire, or those in the named states."""
    wanted = AlertFilter(
        states=in_state or _FIRING, rule_id=rule_id, agent_id=agent_id, before=after, limit=limit
    )
    found = await alerts.alerts(wanted)
    headers = {"Link": next_page(request, found[-1].id)} if len(found) == limit else {}
    return Response(found, headers=headers)


@post("/alerts/acknowledge", opt=access(Role.OPERATOR), status_code=200, responses=documented([404]))
async def acknowledge_alerts(data: JSONBody[AcknowledgeBody], request: Asked, alerts: Alerts) -> Acknowledged:
    """Say that alerts were seen: no more reminders of them are sent."""
    return Acknowledged(count=await alerts.acknowledge(data.ids, data.rule_id, by=request.user.actor))


@get("/alert-notices", opt=access(Role.VIEWER))
async def list_notices(
    request: Asked,
    alerts: Alerts,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_SHOWN)] = _PAGE,
    after: FromQuery[str | None] = None,
) -> Response[list[NoticeView]]:
    """List what was told, to whom, and what became of it; newest first."""
    found = await alerts.notices(before=after, limit=limit)
    headers = {"Link": next_page(request, found[-1].id)} if len(found) == limit else {}
    return Response(found, headers=headers)


@get("/alert-rules", opt=access(Role.VIEWER))
async def list_rules(alerts: Alerts) -> list[RuleView]:
    """List the rules by name."""
    return await alerts.rules()


@post("/alert-rules", opt=access(Role.ADMIN), status_code=201)
async def make_rule(data: JSONBody[RuleBody], request: Asked, alerts: Alerts) -> RuleView:
    """Make a rule."""
    return await alerts.make_rule(
        name=data.name,
        when=data.when,
        target=data.target,
        severity=data.severity,
        channels=data.channels,
        repeat_s=data.repeat_s or None,
        enabled=data.enabled,
        by=request.user.actor,
    )


@get("/alert-rules/{rule_id:str}", opt=access(Role.VIEWER), responses=documented([404]))
async def show_rule(rule_id: FromPath[str], alerts: Alerts) -> RuleView:
    """Show a rule."""
    return await alerts.rule(rule_id)


@patch("/alert-rules/{rule_id:str}", opt=access(Role.ADMIN), responses=documented([404]))
async def change_rule(
    rule_id: FromPath[str], data: JSONBody[RuleChange], request: Asked, alerts: Alerts
) -> RuleView:
    """Change a rule, switch it off or on."""
    values = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
    return await alerts.change_rule(rule_id, values, by=request.user.actor)


@delete("/alert-rules/{rule_id:str}", opt=access(Role.ADMIN), status_code=200, responses=documented([404]))
async def delete_rule(rule_id: FromPath[str], request: Asked, alerts: Alerts) -> Deleted:
    """Delete a rule with its alerts; its notices stay."""
    await alerts.delete_rule(rule_id, by=request.user.actor)
    return Deleted()


@get("/alert-channels", opt=access(Role.VIEWER))
async def list_channels(alerts: Alerts) -> list[ChannelView]:
    """List the channels by name, without their addresses."""
    return await alerts.channels()


@post("/alert-channels", opt=access(Role.ADMIN), status_code=201)
async def make_channel(data: JSONBody[ChannelBody], request: Asked, alerts: Alerts) -> ChannelView:
    """Make a channel."""
    return await alerts.make_channel(name=data.name, url=data.url, by=request.user.actor)


@get("/alert-channels/{channel_id:str}", opt=access(Role.VIEWER), responses=documented([404]))
async def show_channel(channel_id: FromPath[str], alerts: Alerts) -> ChannelView:
    """Show a channel, without its address."""
    return await alerts.channel(channel_id)


@patch("/alert-channels/{channel_id:str}", opt=access(Role.ADMIN), responses=documented([404]))
async def change_channel(
    channel_id: FromPath[str], data: JSONBody[ChannelChange], request: Asked, alerts: Alerts
) -> ChannelView:
    """Change a channel's name or address."""
    return await alerts.change_channel(channel_id, name=data.name, url=data.url, by=request.user.actor)


@delete(
    "/alert-channels/{channel_id:str}",
    opt=access(Role.ADMIN),
    status_code=200,
    responses=documented([404, 409]),
)
async def delete_channel(channel_id: FromPath[str], request: Asked, alerts: Alerts) -> Deleted:
    """Delete a channel that no rule uses."""
    await alerts.delete_channel(channel_id, by=request.user.actor)
    return Deleted()


@post(
    "/alert-channels/{channel_id:str}/test",
    opt=access(Role.ADMIN),
    status_code=200,
    responses=documented([404]),
)
async def test_channel(channel_id: FromPath[str], request: Asked, alerts: Alerts) -> Tested:
    """Send a test to a channel, and say what became of it."""
    return await alerts.test_channel(channel_id, by=request.user.actor)


@get("/silences", opt=access(Role.VIEWER))
async def list_silences(alerts: Alerts, ended: FromQuery[bool] = False) -> list[SilenceView]:  # noqa: FBT002 (a query parameter)
    """List the silences that are on or to come; with `ended`, also those that are over."""
    return await alerts.silences(ended=ended)


@post("/silences", opt=access(Role.OPERATOR), status_code=201, responses=documented([404]))
async def make_silence(data: JSONBody[SilenceBody], request: Asked, alerts: Alerts) -> SilenceView:
    """Make a silence: nothing is told of its hosts that begins or goes on meanwhile."""
    return await alerts.make_silence(
        target=data.target,
        rule_id=data.rule_id,
        starts=data.starts,
        ends=data.ends,
        reason=data.reason,
        by=request.user.actor,
    )


@delete("/silences/{silence_id:str}", opt=access(Role.OPERATOR), status_code=200, responses=documented([404]))
async def end_silence(silence_id: FromPath[str], request: Asked, alerts: Alerts) -> SilenceView:
    """End a silence now."""
    return await alerts.end_silence(silence_id, by=request.user.actor)


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[
            list_alerts,
            acknowledge_alerts,
            list_notices,
            list_rules,
            make_rule,
            show_rule,
            change_rule,
            delete_rule,
            list_channels,
            make_channel,
            show_channel,
            change_channel,
            delete_channel,
            test_channel,
            list_silences,
            make_silence,
            end_silence,
        ],
        tags=["alerts"],
    )
