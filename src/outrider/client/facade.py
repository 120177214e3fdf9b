"""The same center for programs without an event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from outrider.client.asking import STREAM_PATIENCE
from outrider.client.center import AsyncCenter
from outrider.client.dispatches import OUTPUT_PAGE
from outrider.client.fleet import LONG_PAGE

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Collection,
        Coroutine,
        Iterable,
        Iterator,
        Mapping,
    )
    from types import TracebackType

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
    from outrider.client.alerts import Alert, AlertChannel, AlertNotice, AlertRule, ChannelTested, Silence
    from outrider.client.answers import (
        Agent,
        AgentDetail,
        Command,
        CommandType,
        EnrolmentKeyFacts,
        Event,
        EventsMissed,
        NewEnrolmentKey,
        Progress,
        Sent,
        Session,
        SignIn,
    )
    from outrider.client.audit import AuditEntry, AuditVerdict
    from outrider.client.bundles import Bundle, BundleOffer
    from outrider.client.deployments import Deployment, DeployProgress, SshAccess, SshHostKey
    from outrider.client.dispatches import Dispatch, DispatchCommand, DispatchProgress, TargetPreview
    from outrider.client.files import Download, FileInfo, Uploaded
    from outrider.client.groups import Group, GroupMember, Profile, ProfileParameter
    from outrider.client.logs import LogStep
    from outrider.client.schedules import Firing, Schedule
    from outrider.client.telemetry import MetricsHistory, MetricsStep
    from outrider.client.terminals import TerminalFacts
    from outrider.client.trust import Authority

T = TypeVar("T")


class Center:
    """One control center, each call waiting for its answer.

        with Center("http://127.0.0.1:8080", token=token) as center:
            print(center.run(agent_id, "shell", {"command": "uptime"}).stdout)

    It runs an AsyncCenter on an event loop in a thread of its own; several threads may share it. The methods
    promise and raise what AsyncCenter's do.
    """

    def __init__(
        self, url: str, *, token: str | None = None, authority: str | None = None, allow_plain: bool = False
    ) -> None:
        """Name a center; see AsyncCenter."""
        self._center = AsyncCenter(url, token=token, authority=authority, allow_plain=allow_plain)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="outrider-center", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. Closing twice is fine."""
        if self._loop.is_closed():
            return
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        await self._center.close()
        await asyncio.get_running_loop().shutdown_asyncgens()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return waiting.result()
        except BaseException:
            # Ctrl-C in the caller's thread must not leave the work running in ours.
            waiting.cancel()
            raise

    def _each(self, source: AsyncIterator[T]) -> Iterator[T]:
        try:
            while True:
                try:
                    yield self._wait(_next(source))
                except StopAsyncIteration:
                    return
        finally:
            self._wait(_leave(source))

    def login(self, username: str, password: str, *, code: str | None = None) -> SignIn:
        """Sign in; later requests carry the new token."""
        return self._wait(self._center.login(username, password, code=code))

    def logout(self) -> None:
        """End the session of our token."""
        self._wait(self._center.logout())

    def change_password(self, current: str, new: str) -> None:
        """Change our own password. Raises Unauthenticated when `current` is wrong, Invalid for a bad one."""
        self._wait(self._center.change_password(current, new))

    def oidc_providers(self) -> list[Provider]:
        """The OIDC providers that people may sign in with; nobody has to be signed in to ask."""
        return self._wait(self._center.oidc_providers())

    def oidc_address(self, provider: str, redirect: str) -> str:
        """The address a person opens to sign in; the provider sends them on to `redirect`, with a code."""
        return self._center.oidc_address(provider, redirect)

    def oidc_exchange(self, code: str) -> SignIn:
        """Open the session that the one-use `code` stands for; later requests carry its token."""
        return self._wait(self._center.oidc_exchange(code))

    def sessions(self, *, user: str | None = None) -> list[SessionFacts]:
        """Our open sessions; those of `user` for who may manage them."""
        return self._wait(self._center.sessions(user=user))

    def end_session(self, session_id: str) -> None:
        """End a session. Raises NotFound."""
        self._wait(self._center.end_session(session_id))

    def end_other_sessions(self) -> None:
        """End all of our sessions but this one."""
        self._wait(self._center.end_other_sessions())

    def users(self) -> list[UserFacts]:
        """All users."""
        return self._wait(self._center.users())

    def user(self, user_id: str) -> UserFacts:
        """One user. Raises NotFound."""
        return self._wait(self._center.user(user_id))

    def add_user(self, username: str, role: str, *, password: str | None = None) -> NewUser:
        """Add a user; without a password the center makes one and tells it this once. Raises Conflict."""
        return self._wait(self._center.add_user(username, role, password=password))

    def edit_user(
        self,
        user_id: str,
        *,
        username: str | None = None,
        role: str | None = None,
        disabled: bool | None = None,
    ) -> UserFacts:
        """Change a user; None leaves as it is."""
        return self._wait(self._center.edit_user(user_id, username=username, role=role, disabled=disabled))

    def delete_user(self, user_id: str) -> None:
        """Delete a user with sessions and tokens. Raises NotFound."""
        self._wait(self._center.delete_user(user_id))

    def reset_password(self, user_id: str) -> NewPassword:
        """Give a user a password made by the center, which must be changed; their sessions end."""
        return self._wait(self._center.reset_password(user_id))

    def remove_second_factor(self, user_id: str) -> None:
        """Take a user's second factor away, for somebody who has lost it."""
        self._wait(self._center.remove_second_factor(user_id))

    def tokens(self, *, user: str | None = None) -> list[ApiToken]:
        """Our API tokens; those of `user`, or everybody's, for who may manage them."""
        return self._wait(self._center.tokens(user=user))

    def new_token(self, name: str, *, user: str | None = None, expires: float | None = None) -> NewApiToken:
        """Make an API token for `user` (None: ourselves), until `expires` (unix time; None: for ever)."""
        return self._wait(self._center.new_token(name, user=user, expires=expires))

    def revoke_token(self, token_id: str) -> None:
        """End an API token. Raises NotFound."""
        self._wait(self._center.revoke_token(token_id))

    def revoke_tokens(self, user_id: str) -> None:
        """End all API tokens of a user at once."""
        self._wait(self._center.revoke_tokens(user_id))

    def begin_totp(self, password: str) -> SecondFactor:
        """Begin to set up a second factor (TOTP); it counts once it is confirmed."""
        return self._wait(self._center.begin_totp(password))

    def confirm_totp(self, code: str) -> list[str]:
        """Confirm the second factor with a code of the app. Returns the recovery codes, shown this once."""
        return self._wait(self._center.confirm_totp(code))

    def disable_totp(self, password: str) -> None:
        """Give our second factor up."""
        self._wait(self._center.disable_totp(password))

    def stream_token(self) -> StreamToken:
        """A short-lived token for one stream, for where no header can be sent."""
        return self._wait(self._center.stream_token())

    def offered_authorities(self) -> list[Authority]:
        """Ask the center for its certificate authorities, verifying nothing: show their pins to a person."""
        return self._wait(self._center.offered_authorities())

    def trust_pins(self, pins: Collection[str]) -> None:
        """Trust from now on the center's authorities that have one of these pins, and nothing else."""
        self._wait(self._center.trust_pins(pins))

    def session(self) -> Session:
        """Who we are, and which center this is."""
        return self._wait(self._center.session())

    def is_trusted(self) -> bool:
        """Tell whether the center's certificate is verified under the authority we trust."""
        return self._wait(self._center.is_trusted())

    def agents(
        self,
        *,
        target: str | None = None,
        tag: str | None = None,
        status: str | None = None,
        text: str | None = None,
    ) -> list[Agent]:
        """All agents that match. `target` is an expression, `text` is looked for in labels and hostnames."""
        return self._wait(self._center.agents(target=target, tag=tag, status=status, text=text))

    def agent_pages(
        self,
        *,
        target: str | None = None,
        tag: str | None = None,
        status: str | None = None,
        text: str | None = None,
        limit: int = LONG_PAGE,
    ) -> Iterator[list[Agent]]:
        """The matching agents, up to `limit` at a time."""
        return self._each(
            self._center.agent_pages(target=target, tag=tag, status=status, text=text, limit=limit)
        )

    def agent(self, agent_id: str) -> AgentDetail:
        """One agent with all that is known of it. Raises NotFound."""
        return self._wait(self._center.agent(agent_id))

    def edit_agent(
        self, agent_id: str, *, label: str | None = None, tags: Collection[str] | None = None
    ) -> AgentDetail:
        """Set an agent's label, its tags, or both; None leaves as it is. `tags` replaces all of them."""
        return self._wait(self._center.edit_agent(agent_id, label=label, tags=tags))

    def delete_agent(self, agent_id: str) -> None:
        """Delete an agent and all of its history."""
        self._wait(self._center.delete_agent(agent_id))

    def approve(self, agent_id: str) -> Agent:
        """Let a pending agent in."""
        return self._wait(self._center.approve(agent_id))

    def decline(self, agent_id: str) -> Agent:
        """Turn an agent away."""
        return self._wait(self._center.decline(agent_id))

    def new_enrolment_key(
        self,
        *,
        label: str | None = None,
        uses: int | None = 1,
        ttl: float | None = None,
        approve: bool = False,
        tags: Collection[str] = (),
    ) -> NewEnrolmentKey:
        """Make an enrolment key; its text is shown this once."""
        return self._wait(
            self._center.new_enrolment_key(label=label, uses=uses, ttl=ttl, approve=approve, tags=tags)
        )

    def enrolment_keys(self) -> list[EnrolmentKeyFacts]:
        """The enrolment keys that are alive, without their secrets."""
        return self._wait(self._center.enrolment_keys())

    def revoke_enrolment_key(self, key_id: str) -> None:
        """End an enrolment key; hosts that came with it stay."""
        self._wait(self._center.revoke_enrolment_key(key_id))

    def bundles(self) -> list[Bundle]:
        """All bundles that are kept, newest first."""
        return self._wait(self._center.bundles())

    def bundle_offer(self, python: str, platform: str, *, version: str | None = None) -> BundleOffer:
        """Say what a host with this Python (`3.11`) and platform (`linux-x86_64`) gets."""
        return self._wait(self._center.bundle_offer(python, platform, version=version))

    def send(
        self,
        agent_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send a command; the answer means that it is on the center's disk."""
        return self._wait(self._center.send(agent_id, kind, params, ttl=ttl, idempotency_key=idempotency_key))

    def commands(self, agent_id: str) -> list[Command]:
        """The agent's last 100 commands, newest first."""
        return self._wait(self._center.commands(agent_id))

    def command(self, agent_id: str, command_id: str) -> Command:
        """One command as it stands. Raises NotFound."""
        return self._wait(self._center.command(agent_id, command_id))

    def cancel(self, agent_id: str, command_id: str) -> Command:
        """Ask for a command to be cancelled; one that has ended stays as it is."""
        return self._wait(self._center.cancel(agent_id, command_id))

    def follow(
        self, agent_id: str, command_id: str, *, patience: float | None = STREAM_PATIENCE
    ) -> Iterator[Progress]:
        """Follow a command from its first output: pieces and changes, last the Command itself."""
        return self._each(self._center.follow(agent_id, command_id, patience=patience))

    def run(
        self, agent_id: str, kind: str, params: Mapping[str, Any] | None = None, *, ttl: float | None = None
    ) -> Command:
        """Send a command and return it once it has ended, however long that takes."""
        return self._wait(self._center.run(agent_id, kind, params, ttl=ttl))

    def command_types(self) -> list[CommandType]:
        """The command types this center knows."""
        return self._wait(self._center.command_types())

    def deploy(
        self,
        access: SshAccess,
        *,
        label: str = "",
        tags: Collection[str] = (),
        sudo_password: str | None = None,
        jump: SshAccess | None = None,
        adopt: bool = False,
        center_url: str | None = None,
    ) -> Deployment:
        """Bring the agent to a host over SSH, and wait for the end: its `state` says how it went."""
        return self._wait(
            self._center.deploy(
                access,
                label=label,
                tags=tags,
                sudo_password=sudo_password,
                jump=jump,
                adopt=adopt,
                center_url=center_url,
            )
        )

    def begin_deployment(
        self,
        access: SshAccess,
        *,
        label: str = "",
        tags: Collection[str] = (),
        sudo_password: str | None = None,
        jump: SshAccess | None = None,
        adopt: bool = False,
        center_url: str | None = None,
    ) -> Deployment:
        """Begin to bring the agent to a host over SSH."""
        return self._wait(
            self._center.begin_deployment(
                access,
                label=label,
                tags=tags,
                sudo_password=sudo_password,
                jump=jump,
                adopt=adopt,
                center_url=center_url,
            )
        )

    def deployments(self, *, page: int = 1000) -> Iterator[Deployment]:
        """All deployments that are kept, newest first."""
        return self._each(self._center.deployments(page=page))

    def deployment(self, deployment_id: str) -> Deployment:
        """One deployment with its steps. Raises NotFound."""
        return self._wait(self._center.deployment(deployment_id))

    def cancel_deployment(self, deployment_id: str) -> Deployment:
        """End a deployment: what was done is undone. Raises Conflict when it is over."""
        return self._wait(self._center.cancel_deployment(deployment_id))

    def follow_deployment(
        self, deployment_id: str, *, patience: float | None = STREAM_PATIENCE
    ) -> Iterator[DeployProgress]:
        """Follow a deployment to its end; the last that is given is the Deployment."""
        return self._each(self._center.follow_deployment(deployment_id, patience=patience))

    def ssh_host_keys(self, *, host: str | None = None) -> list[SshHostKey]:
        """The SSH host keys that the center remembers."""
        return self._wait(self._center.ssh_host_keys(host=host))

    def forget_ssh_host_key(self, key_id: str) -> None:
        """Forget a host key: the next one that its host shows is trusted. Raises NotFound."""
        self._wait(self._center.forget_ssh_host_key(key_id))

    def preview_target(self, target: str, *, limit: int | None = None) -> TargetPreview:
        """Say whom a target means now. Raises InvalidTarget, which points at the mistake."""
        return self._wait(self._center.preview_target(target, limit=limit))

    def dispatch(
        self,
        target: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        concurrency: int | None = None,
        max_failures: int | str | None = None,
        ttl: float | None = None,
        offline: str | None = None,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Send one command to all agents that `target` means; the answer means that it is on disk."""
        return self._wait(
            self._center.dispatch(
                target,
                kind,
                params,
                concurrency=concurrency,
                max_failures=max_failures,
                ttl=ttl,
                offline=offline,
                idempotency_key=idempotency_key,
            )
        )

    def update_agents(
        self,
        target: str,
        *,
        version: str = "",
        force: bool = False,
        concurrency: int | None = 5,
        max_failures: int | str | None = 0,
        offline: str | None = "skip",
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Update the agents of all hosts that `target` means, as a dispatch that rolls."""
        return self._wait(
            self._center.update_agents(
                target,
                version=version,
                force=force,
                concurrency=concurrency,
                max_failures=max_failures,
                offline=offline,
                idempotency_key=idempotency_key,
            )
        )

    def dispatches(self, *, state: str | None = None, page: int = 100) -> Iterator[Dispatch]:
        """The dispatches, newest first, page by page."""
        return self._each(self._center.dispatches(state=state, page=page))

    def dispatch_facts(self, dispatch_id: str) -> Dispatch:
        """One dispatch as it stands. Raises NotFound."""
        return self._wait(self._center.dispatch_facts(dispatch_id))

    def dispatch_commands(
        self, dispatch_id: str, *, state: str | None = None, page: int = OUTPUT_PAGE
    ) -> Iterator[DispatchCommand]:
        """The commands of a dispatch with what came of them, page by page."""
        return self._each(self._center.dispatch_commands(dispatch_id, state=state, page=page))

    def cancel_dispatch(self, dispatch_id: str) -> Dispatch:
        """Begin no more of it, and ask for what runs to be ended."""
        return self._wait(self._center.cancel_dispatch(dispatch_id))

    def retry_dispatch(self, dispatch_id: str, *, idempotency_key: str | None = None) -> Dispatch:
        """Send it again to the agents where it did not succeed, as a new dispatch."""
        return self._wait(self._center.retry_dispatch(dispatch_id, idempotency_key=idempotency_key))

    def follow_dispatch(
        self, dispatch_id: str, *, live: bool = True, patience: float | None = STREAM_PATIENCE
    ) -> Iterator[DispatchProgress]:
        """Follow a dispatch from its beginning: pieces and changes as they come, last the Dispatch itself."""
        return self._each(self._center.follow_dispatch(dispatch_id, live=live, patience=patience))

    def groups(self) -> list[Group]:
        """All groups."""
        return self._wait(self._center.groups())

    def group(self, group_id: str) -> Group:
        """One group. Raises NotFound."""
        return self._wait(self._center.group(group_id))

    def new_group(
        self, name: str, *, rule: str = "", priority: int = 0, profile_id: str | None = None
    ) -> Group:
        """Make a group. Raises Invalid, for a rule with the place of the error."""
        return self._wait(self._center.new_group(name, rule=rule, priority=priority, profile_id=profile_id))

    def edit_group(
        self,
        group_id: str,
        *,
        name: str | msgspec.UnsetType = msgspec.UNSET,
        rule: str | msgspec.UnsetType = msgspec.UNSET,
        priority: int | msgspec.UnsetType = msgspec.UNSET,
        profile_id: str | msgspec.UnsetType | None = msgspec.UNSET,
    ) -> Group:
        """Change a group; with `profile_id` None it gives no profile any more."""
        return self._wait(
            self._center.edit_group(group_id, name=name, rule=rule, priority=priority, profile_id=profile_id)
        )

    def delete_group(self, group_id: str) -> None:
        """Delete a group; its members stay."""
        self._wait(self._center.delete_group(group_id))

    def group_members(self, group_id: str) -> list[GroupMember]:
        """All members of a group, in the order they enrolled."""
        return self._wait(self._center.group_members(group_id))

    def set_group_members(
        self, group_id: str, *, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> Group:
        """Put agents into a group by hand, and take others out; whom its rule takes in stays in it."""
        return self._wait(self._center.set_group_members(group_id, add=add, remove=remove))

    def profiles(self) -> list[Profile]:
        """All profiles."""
        return self._wait(self._center.profiles())

    def profile(self, profile_id: str) -> Profile:
        """One profile. Raises NotFound."""
        return self._wait(self._center.profile(profile_id))

    def profile_parameters(self) -> list[ProfileParameter]:
        """The parameters that the center knows; a profile may have others, too."""
        return self._wait(self._center.profile_parameters())

    def new_profile(self, name: str, params: Mapping[str, str]) -> Profile:
        """Make a profile. Raises Invalid, naming the parameter."""
        return self._wait(self._center.new_profile(name, params))

    def edit_profile(
        self, profile_id: str, params: Mapping[str, str | None], *, name: str | None = None
    ) -> Profile:
        """Change a profile: parameters that are not named stay, None removes one."""
        return self._wait(self._center.edit_profile(profile_id, params, name=name))

    def delete_profile(self, profile_id: str) -> None:
        """Delete a profile that no group gives. Raises Conflict."""
        self._wait(self._center.delete_profile(profile_id))

    def schedules(self) -> list[Schedule]:
        """All schedules."""
        return self._wait(self._center.schedules())

    def schedule(self, schedule_id: str) -> Schedule:
        """One schedule. Raises NotFound."""
        return self._wait(self._center.schedule(schedule_id))

    def new_schedule(
        self,
        name: str,
        when: dict[str, Any],
        dispatch: dict[str, Any],
        *,
        enabled: bool = True,
        grace: float | None = None,
    ) -> Schedule:
        """Make a schedule; `dispatch` holds what `dispatch()` takes. Raises Invalid, naming the field."""
        return self._wait(self._center.new_schedule(name, when, dispatch, enabled=enabled, grace=grace))

    def edit_schedule(
        self,
        schedule_id: str,
        *,
        name: str | None = None,
        when: dict[str, Any] | None = None,
        dispatch: dict[str, Any] | None = None,
        enabled: bool | None = None,
        grace: float | None = None,
    ) -> Schedule:
        """Change a schedule; None leaves as it is."""
        return self._wait(
            self._center.edit_schedule(
                schedule_id, name=name, when=when, dispatch=dispatch, enabled=enabled, grace=grace
            )
        )

    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule. What it has sent stays."""
        self._wait(self._center.delete_schedule(schedule_id))

    def fire_schedule(self, schedule_id: str) -> Firing:
        """Let a schedule fire now, beside its times."""
        return self._wait(self._center.fire_schedule(schedule_id))

    def firings(self, schedule_id: str) -> list[Firing]:
        """When a schedule fired, newest first, and what came of it."""
        return self._wait(self._center.firings(schedule_id))

    def alerts(
        self,
        *,
        states: Collection[str] = (),
        rule: str | None = None,
        agent: str | None = None,
        limit: int | None = None,
    ) -> list[Alert]:
        """What fires, newest first; `states` asks for others, `rule` and `agent` (ids) for some of them."""
        return self._wait(self._center.alerts(states=states, rule=rule, agent=agent, limit=limit))

    def alert_notices(self, *, limit: int | None = 100) -> list[AlertNotice]:
        """What was told, to whom, and what became of it; newest first."""
        return self._wait(self._center.alert_notices(limit=limit))

    def acknowledge_alerts(self, *, ids: Collection[str] | None = None, rule: str | None = None) -> int:
        """Say that alerts were seen, by their ids or all of a rule; return how many are new to that."""
        return self._wait(self._center.acknowledge_alerts(ids=ids, rule=rule))

    def alert_rules(self) -> list[AlertRule]:
        """All rules."""
        return self._wait(self._center.alert_rules())

    def alert_rule(self, rule_id: str) -> AlertRule:
        """One rule. Raises NotFound."""
        return self._wait(self._center.alert_rule(rule_id))

    def new_alert_rule(
        self,
        name: str,
        when: dict[str, Any],
        target: str,
        *,
        severity: str = "warning",
        channels: Collection[str] = (),
        repeat_s: float | None = None,
        enabled: bool = True,
    ) -> AlertRule:
        """Make a rule. Raises Invalid, naming the field, and TargetRefused."""
        return self._wait(
            self._center.new_alert_rule(
                name,
                when,
                target,
                severity=severity,
                channels=channels,
                repeat_s=repeat_s,
                enabled=enabled,
            )
        )

    def edit_alert_rule(self, rule_id: str, **values: Any) -> AlertRule:
        """Change a rule: the named fields of `new_alert_rule`. A `repeat_s` of 0 ends reminders."""
        return self._wait(self._center.edit_alert_rule(rule_id, **values))

    def delete_alert_rule(self, rule_id: str) -> None:
        """Delete a rule with its alerts. What was told stays."""
        self._wait(self._center.delete_alert_rule(rule_id))

    def alert_channels(self) -> list[AlertChannel]:
        """All channels, without their addresses."""
        return self._wait(self._center.alert_channels())

    def new_alert_channel(self, name: str, url: str) -> AlertChannel:
        """Make a channel of an address as apprise reads them. Raises Invalid for one that it can't read."""
        return self._wait(self._center.new_alert_channel(name, url))

    def edit_alert_channel(
        self, channel_id: str, *, name: str | None = None, url: str | None = None
    ) -> AlertChannel:
        """Change a channel; None leaves as it is."""
        return self._wait(self._center.edit_alert_channel(channel_id, name=name, url=url))

    def delete_alert_channel(self, channel_id: str) -> None:
        """Delete a channel. Raises Conflict while rules use it."""
        self._wait(self._center.delete_alert_channel(channel_id))

    def test_alert_channel(self, channel_id: str) -> ChannelTested:
        """Send a test to a channel, now."""
        return self._wait(self._center.test_alert_channel(channel_id))

    def silences(self, *, ended: bool = False) -> list[Silence]:
        """The silences that are on or to come; with `ended`, also those that are over."""
        return self._wait(self._center.silences(ended=ended))

    def new_silence(
        self,
        ends: float,
        *,
        target: str | None = None,
        rule: str | None = None,
        starts: float | None = None,
        reason: str = "",
    ) -> Silence:
        """Tell nothing of a target's hosts, of a rule (id), or of both together, until `ends` (unix time)."""
        return self._wait(
            self._center.new_silence(ends, target=target, rule=rule, starts=starts, reason=reason)
        )

    def end_silence(self, silence_id: str) -> Silence:
        """End a silence now."""
        return self._wait(self._center.end_silence(silence_id))

    def metrics(
        self,
        agent_id: str,
        *,
        start: float | None = None,
        end: float | None = None,
        step: int | None = None,
    ) -> MetricsHistory:
        """A host's figures between two unix times: the last hour unless told otherwise."""
        return self._wait(self._center.metrics(agent_id, start=start, end=end, step=step))

    def watch_metrics(
        self,
        agent_id: str,
        *,
        after: str = "",
        wait: bool = False,
        patience: float | None = STREAM_PATIENCE,
    ) -> Iterator[MetricsStep]:
        """A host's figures as they are read: a snapshot at once, then every five seconds."""
        return self._each(self._center.watch_metrics(agent_id, after=after, wait=wait, patience=patience))

    def logs(  # noqa: PLR0913 - one for each part of the query
        self,
        agent_id: str,
        *,
        unit: str | None = None,
        path: str | None = None,
        lines: int | None = None,
        priority: str | int | None = None,
        grep: str | None = None,
        since: float | None = None,
        follow: bool = True,
        after: str = "",
        wait: bool = False,
        patience: float | None = STREAM_PATIENCE,
    ) -> Iterator[LogStep]:
        """A host's log: the file `path`, else its journal; the last `lines` lines and what follows."""
        return self._each(
            self._center.logs(
                agent_id,
                unit=unit,
                path=path,
                lines=lines,
                priority=priority,
                grep=grep,
                since=since,
                follow=follow,
                after=after,
                wait=wait,
                patience=patience,
            )
        )

    def terminals(
        self,
        *,
        agent: str | None = None,
        user: str | None = None,
        open: bool | None = None,  # noqa: A002 - the word of the API
        limit: int | None = None,
    ) -> Iterator[TerminalFacts]:
        """Terminals, newest first; ours alone unless we are an administrator."""
        return self._each(self._center.terminals(agent=agent, user=user, open=open, limit=limit))

    def end_terminal(self, terminal_id: str) -> None:
        """End a terminal."""
        self._wait(self._center.end_terminal(terminal_id))

    def recording(self, terminal_id: str) -> Iterator[bytes]:
        """A terminal's recording as asciicast, in pieces of any size."""
        return self._each(self._center.recording(terminal_id))

    def file(self, agent_id: str, path: str, *, digest: bool = False, length: int | None = None) -> FileInfo:
        """What is at a path of a host; with `digest` also the BLAKE3 of its content."""
        return self._wait(self._center.file(agent_id, path, digest=digest, length=length))

    def files(self, agent_id: str, path: str) -> Iterator[FileInfo]:
        """The entries of a folder of a host, in the order of their names."""
        return self._each(self._center.files(agent_id, path))

    def download(
        self, agent_id: str, path: str, *, start: int = 0, etag: str = "", archive: bool = False
    ) -> Iterator[Download | bytes]:
        """A file of a host, or a folder as tar.gz: first a Download, then its bytes."""
        return self._each(self._center.download(agent_id, path, start=start, etag=etag, archive=archive))

    def upload(  # noqa: PLR0913 - one for each part of the form
        self,
        agent_id: str,
        dest: str,
        content: AsyncIterable[bytes] | Iterable[bytes],
        *,
        size: int | None = None,
        name: str = "",
        mode: str | None = None,
        owner: str | None = None,
        overwrite: bool = True,
        extract: bool = False,
    ) -> Uploaded:
        """Write a file of a host, whole or not at all. `content` is read in the client's own thread."""
        return self._wait(
            self._center.upload(
                agent_id,
                dest,
                content,
                size=size,
                name=name,
                mode=mode,
                owner=owner,
                overwrite=overwrite,
                extract=extract,
            )
        )

    def audit(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        actor: str | None = None,
        subject: str | None = None,
        action: str | None = None,
        since: float | None = None,
        until: float | None = None,
        order: str | None = None,
    ) -> Iterator[AuditEntry]:
        """The entries that match, page by page; `limit` of them at most."""
        return self._each(
            self._center.audit(
                after=after,
                limit=limit,
                actor=actor,
                subject=subject,
                action=action,
                since=since,
                until=until,
                order=order,
            )
        )

    def verify_audit(self) -> AuditVerdict:
        """Let the center walk the whole chain."""
        return self._wait(self._center.verify_audit())

    def export_audit(self) -> Iterator[bytes]:
        """The whole log as newline-delimited JSON, in pieces of any size."""
        return self._each(self._center.export_audit())

    def events(
        self, *, after: int | None = None, patience: float | None = None
    ) -> Iterator[Event | EventsMissed]:
        """The center's changes as they happen, after the position `after` (None: from now on)."""
        return self._each(self._center.events(after=after, patience=patience))


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)


async def _leave(source: AsyncIterator[Any]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()
