"""The fleet's abilities: enrolment, approval, lists, changes, deletion."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from outrider.center.blobs.contract import Blobs
from outrider.center.bundles.newer import Newer, newer_for
from outrider.center.fleet import keys, rows, targets, writes
from outrider.center.fleet.approval import approval_of
from outrider.center.fleet.presence import Presence
from outrider.center.fleet.short_forms import ShortForms
from outrider.center.groups.given import Given, Membership, given, memberships
from outrider.center.joining.lines import InstallLines
from outrider.center.link.hub import Hub
from outrider.center.link.open_link import OpenLink
from outrider.center.security.proof import device_id_of, is_certificate_of, verify_enrolment
from outrider.center.store.connection import Connection
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.connection_states import Approval, HostStatus, status_of
from outrider.domain.enrolment import (
    EnrolmentKey,
    MalformedEnrolmentKey,
    enrolment_proof,
    hash_agent_key,
    hash_secret,
    is_agent_key,
    new_enrolment_key,
)
from outrider.domain.errors import Conflict, Forbidden, Invalid, OutriderError, Throttled, Unauthenticated
from outrider.domain.ids import AgentId, KeyId, TerminalId
from outrider.domain.tags import parse_tags
from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.ratelimit import KeyedLimiter
from outrider.protocol.link import NORMAL
from outrider.protocol.messages import ApprovalChanged, Facts, Removed

log = logs.get(__name__)


class EnrolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent sends to join; it has stored `agent_key` on its disk before."""

    enrolment_key: str
    device_id: str
    public_key: str
    agent_key: str
    proof: str
    facts: Facts
    certificate: str = ""
    label: str = ""


class AgentSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent in the list (seed 002); `paused` is there only while somebody on its host has paused it."""

    id: str
    label: str
    hostname: str
    ip: str
    os: str
    version: str
    status: HostStatus
    last_seen: int
    tags: list[str]
    paused: bool = False


class AgentView(AgentSummary, frozen=True, kw_only=True):
    """An agent with all that is known of it (contract 002). `labels` are the names of its groups.

    `agent_build` is the build of the bundle it was installed from, empty for one that was installed in
    another way; `newer` is the bundle that `update_agent` would put in its place, None when it runs that.
    """

    metrics: dict[str, Any]
    labels: list[str]
    groups: list[Membership]
    profile: Given
    abilities: list[str]
    connection: dict[str, Any]
    agent_version: str
    agent_build: str
    newer: Newer | None
    device_id: str
    first_seen: int
    facts: dict[str, Any]
    approved_by: str | None
    approved_at: int | None
    clock_offset: float | None
    conflict: dict[str, Any] | None


class TargetPreview(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a target means now. `unmatched`: the terms that nobody fits, told when nobody is meant."""

    count: int
    by_status: dict[HostStatus, int]
    agents: list[AgentSummary]
    unmatched: list[str]


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new enrolment key; `key` is told once, and so is its `short` form (null where none was wanted)."""

    id: str
    key: str
    short: str | None
    label: str
    tags: list[str]
    approve: bool
    uses: int | None
    expires: float | None
    #: How a host joins with it.
    install: InstallLines


class FleetService:
    """What people and agents do with the fleet."""

    def __init__(  # noqa: PLR0913 - composition
        self,
        store: Store,
        presence: Presence,
        hub: Hub,
        blobs: Blobs,
        clock: Clock,
        *,
        pins: frozenset[str],
        on_approved: Callable[[AgentId], Awaitable[None]],
        snapshot_of: Callable[[AgentId], tuple[dict[str, Any], float] | None],
        on_barred: Callable[[AgentId, str], None],
        tell: Callable[[Sequence[AgentId]], None],
        forget_terminals: Callable[[Sequence[TerminalId]], Awaitable[None]],
        install_lines: Callable[[str], InstallLines],
        short_forms: ShortForms,
    ) -> None:
        """Take the parts; `pins` are those of the center's CA, empty without TLS.

        `on_approved` sends what has waited for an agent that may work from now on; `on_barred` ends what is
        under way with one that may not any more, and is told why. `snapshot_of` gives a host's newest
        snapshot and the seconds since it came. `forget_terminals` removes recordings. `install_lines` writes
        what a host runs to join with a key.
        """
        self._store = store
        self._presence = presence
        self._hub = hub
        self._blobs = blobs
        self._clock = clock
        self._pins = pins
        self._on_approved = on_approved
        self._on_barred = on_barred
        self._tell = tell
        self._forget_terminals = forget_terminals
        self._snapshot_of = snapshot_of
        self._install_lines = install_lines
        self._short_forms = short_forms
        self._failures: KeyedLimiter[str] = KeyedLimiter(0.2, 20, clock, max_keys=10_000)

    # --- enrolment keys

    async def make_key(
        self,
        *,
        by: Actor,
        label: str = "",
        uses: int | None = 1,
        ttl: float | None = 1200.0,
        approve: bool = False,
        tags: list[str] | None = None,
        short: bool = False,
        announce: Callable[[KeyId], Awaitable[None]] | None = None,
    ) -> MadeKey:
        """Make an enrolment key. `ttl` in seconds; None for `uses` or `ttl` means without limit.

        With `short` it has a short form, too. `announce` is awaited with its id before it is there, for
        whoever has to end it whatever happens.
        """
        key = new_enrolment_key(self._pins)
        form = self._short_forms.make(key) if short else None
        if announce is not None:
            await announce(KeyId(key.id))
        new = keys.NewKey(
            id=KeyId(key.id),
            secret_hash=hash_secret(key.secret),
            label=label,
            tags=list(parse_tags(tags or ())),
            approve=approve,
            uses=uses,
            expires=None if ttl is None else self._clock.time() + ttl,
            by=by,
            short=None if form is None else form.row,
        )
        row = await self._store.writer.submit(keys.MAKE_KEYS, new)
        text = key.format()
        return MadeKey(
            id=row.id,
            key=text,
            short=None if form is None else form.text,
            label=row.label,
            tags=row.tags,
            approve=row.approve,
            uses=row.uses,
            expires=row.expires,
            install=self._install_lines(text),
        )

    async def list_keys(self) -> list[keys.KeyRow]:
        """List all enrolment keys, newest first."""
        async with self._store.read() as conn:
            return await keys.list_keys(conn)

    async def revoke_key(self, key_id: str, *, by: Actor) -> None:
        """End an enrolment key. Raises `NotFound`."""
        revocation = keys.Revocation(key_id=KeyId(key_id), by=by)
        await self._store.writer.submit(keys.REVOKE_KEYS, revocation)

    async def vouch(self, text: str) -> keys.KeyRow:
        """Find the enrolment key that somebody shows: one that hosts can still join with. Uses nothing up.

        Raises `Unauthenticated`, which says what is wrong with it.
        """
        try:
            key = EnrolmentKey.parse(text)
        except MalformedEnrolmentKey as error:
            raise Unauthenticated(f"The enrolment key is malformed: {error}.") from None
        async with self._store.read() as conn:
            return await keys.vouch(conn, key.id, hash_secret(key.secret), now=self._clock.time())

    async def has_joined_with(self, text: str, *, address: str) -> bool:
        """Tell whether an agent at `address` has joined with this enrolment key, used up by now or not.

        False for a key that is unknown, revoked or too old.
        """
        try:
            key = EnrolmentKey.parse(text)
        except MalformedEnrolmentKey:
            return False
        async with self._store.read() as conn:
            joined = await keys.joined_with(conn, key.id, hash_secret(key.secret), now=self._clock.time())
        links = [self._hub.get(agent_id) for agent_id in joined]
        return address in {*joined.values(), *(link.address for link in links if link is not None)}

    async def owner_of(self, key: str) -> rows.KeyOwner:
        """Find the agent that an agent key belongs to. Raises `Unauthenticated` for a dead key."""
        async with self._store.read() as conn:
            owner = await rows.agent_with_key(conn, hash_agent_key(key))
        if owner is None:
            raise Unauthenticated("No agent has this key (any more).")
        if owner.approval is Approval.DECLINED:
            raise Unauthenticated("The agent with this key was declined.")
        return owner

    async def recognise(self, agent_id: str, key: str) -> AgentId:
        """Check the key that an agent shows, approved or not yet.

        Raises `Unauthenticated`, `NotFound` or `Forbidden`, the last also when the agent was declined.
        """
        known = await self._presence.admit(agent_id, key)
        async with self._store.read() as conn:
            if await approval_of(conn, known) is Approval.DECLINED:
                raise Forbidden("This agent was declined.")
        return known

    # --- agents that join

    async def enrol(self, request: EnrolRequest, *, address: str) -> writes.Enrolled:
        """Take in a host.

        Raises `Invalid` for what is malformed, `Unauthenticated` for a dead key or a wrong proof,
        `Throttled` after many failures from one address, `Conflict` when the identity is in use.
        """
        wait = self._failures.retry_after(address)
        if wait > 0:
            raise Throttled(
                f"Too many failed enrolments from here; try again in {wait:.0f} s.", retry_after=wait
            )
        try:
            enrolment = self._check(request, address)
            await self._refuse_second_machine(request)
            enrolled = await self._store.writer.submit(writes.ENROL_AGENTS, enrolment)
        except OutriderError as error:
            self._failures.try_take(address)
            log.warning("enrolment refused", address=address, code=error.code, reason=error.detail)
            raise
        if enrolled.fresh:
            log.info(
                "agent enrolled",
                agent_id=enrolled.agent_id,
                approval=enrolled.approval.value,
                address=address,
            )
        return enrolled

    def _check(self, request: EnrolRequest, address: str) -> writes.Enrolment:
        try:
            key = EnrolmentKey.parse(request.enrolment_key)
        except MalformedEnrolmentKey as error:
            raise Invalid(f"The enrolment key is malformed: {error}.", field="enrolment_key") from None
        if not is_agent_key(request.agent_key):
            raise Invalid("The agent key is malformed.", field="agent_key")
        if device_id_of(request.public_key) != request.device_id:
            raise Invalid("The device id is not that of the public key.", field="device_id")
        if request.certificate and not is_certificate_of(request.certificate, request.device_id):
            raise Invalid("The certificate is not that of the public key.", field="certificate")
        try:
            signature = base64.b64decode(request.proof, validate=True)
        except ValueError:
            raise Invalid("The proof is not base64.", field="proof") from None
        key_hash = hash_agent_key(request.agent_key)
        if not verify_enrolment(
            request.public_key, signature, enrolment_proof(request.device_id, key_hash, key.id)
        ):
            raise Unauthenticated("The proof does not show that the host holds its identity key.")
        return writes.Enrolment(
            key_id=key.id,
            secret_hash=hash_secret(key.secret),
            device_id=request.device_id,
            public_key=request.public_key,
            agent_key_hash=key_hash,
            facts=request.facts,
            label=request.label[:200],
            address=address,
            certificate=request.certificate,
        )

    async def _refuse_second_machine(self, request: EnrolRequest) -> None:
        """Refuse to give an identity to another machine while its own is connected."""
        async with self._store.read() as conn:
            known = await rows.agent_with_device(conn, request.device_id)
        if known is None or known.key_hash == hash_agent_key(request.agent_key):
            return
        link = self._hub.get(known.id)
        if link is not None and await link.answers_probe():
            raise Conflict(
                "A machine with this identity is connected: a cloned disk? "
                "Remove the agent's folder on the copy."
            )

    # --- what people see and change

    async def find(self, wanted: rows.AgentFilter, target: str | None = None) -> list[AgentSummary]:
        """List agents, with `target` those it means; the filter's `heard_since` is set here.

        Raises `InvalidTarget`.
        """
        heard_since = self._presence.heard_since()
        wanted = msgspec.structs.replace(wanted, heard_since=heard_since)

        async def look(conn: Connection) -> list[rows.AgentRow]:
            meant = None if target is None else await targets.piece_of(conn, target, heard_since=heard_since)
            return await rows.list_agents(conn, wanted, meant)

        found = await self._store.trip(look)
        listed: list[AgentSummary] = []
        for chunk in rows.chunks(found):
            listed += [self._summary(row) for row in chunk]
            # Ten thousand in one go would hold up every link.
            await asyncio.sleep(0)
        return listed

    async def preview(self, target: str, *, limit: int) -> TargetPreview:
        """Show whom a target means: how many, and the first `limit` of them. Raises `InvalidTarget`.

        A target that means nobody is no error here; its preview names the terms that nobody fits.
        """
        heard_since = self._presence.heard_since()
        reach = await self._store.trip(
            lambda conn: targets.reach_of(conn, target, limit=limit, heard_since=heard_since)
        )
        return TargetPreview(
            count=reach.count,
            by_status=reach.by_status,
            agents=[self._summary(row) for row in reach.first],
            unmatched=reach.unmatched,
        )

    def _status(self, row: rows.AgentRow) -> tuple[HostStatus, float]:
        seen = max(row.last_seen, self._presence.last_heard(row.id) or 0.0)
        recently = self._clock.time() - seen < self._presence.patience
        there = self._presence.is_there(row.id) or row.linked is not None
        return status_of(row.approval, link_open=there, heard_recently=recently), seen

    def _summary(self, row: rows.AgentRow) -> AgentSummary:
        status, seen = self._status(row)
        return AgentSummary(
            id=row.id,
            label=row.label,
            hostname=row.hostname,
            ip=row.ip,
            os=row.os,
            version=row.version,
            status=status,
            last_seen=int(seen),
            tags=row.tags,
            paused=self._presence.is_paused(row.id),
        )

    async def detail(self, agent_id: str) -> AgentView:
        """Show one agent. Raises `NotFound`."""
        async with self._store.read() as conn:
            row = await rows.agent_detail(conn, AgentId(agent_id))
            if row is None:
                raise writes.no_such_agent(agent_id)
            groups = await memberships(conn, row.id)
            profile = (await given(conn, [row.id]))[row.id]
            newer = await newer_for(conn, row.facts)
        summary = self._summary(row)
        link = self._hub.get(row.id)
        return AgentView(
            **msgspec.structs.asdict(summary),
            metrics=self._metrics(row, link),
            labels=[group.name for group in groups],
            groups=groups,
            profile=profile,
            abilities=list(row.facts.get("abilities", ())),
            connection={
                "link": "open" if link else "none",
                "address": link.address if link else None,
                "since": int(link.opened) if link else None,
                "protocol": link.version if link else None,
                "paused": summary.paused,
            },
            agent_version=row.version,
            agent_build=row.facts.get("agent_build", ""),
            newer=newer,
            device_id=row.device_id,
            first_seen=int(row.first_seen),
            facts=row.facts,
            approved_by=row.approved_by,
            approved_at=None if row.approved_at is None else int(row.approved_at),
            clock_offset=link.clock_offset if link else row.clock_offset,
            conflict=row.conflict,
        )

    def _metrics(self, row: rows.AgentDetail, link: OpenLink | None) -> dict[str, Any]:
        """Return the newest snapshot, with the load of heartbeats where that is newer."""
        readings = link.readings if link else None
        load = msgspec.structs.asdict(readings) if readings else row.readings or {}
        snapshot, age = self._snapshot_of(row.id) or ({}, 0.0)
        return snapshot if snapshot and age < self._presence.heartbeat else {**snapshot, **load}

    async def change(
        self, agent_id: str, *, label: str | None, tags: list[str] | None, by: Actor
    ) -> AgentView:
        """Set an agent's label and tags. Raises `NotFound` or `Invalid`."""
        parsed = None if tags is None else parse_tags(tags)
        change = writes.Change(agent_id=AgentId(agent_id), by=by, label=label, tags=parsed)
        try:
            await self._store.writer.submit(writes.CHANGE_AGENTS, change)
        finally:
            # Also when nobody knows whether it is written.
            self._tell([change.agent_id])
        return await self.detail(agent_id)

    async def say(self, agent_id: str, approval: Approval, by: Actor) -> AgentView:
        """Approve or decline an agent and tell it at once. Raises `NotFound`."""
        word = writes.Say(agent_id=AgentId(agent_id), approval=approval, by=by)
        if await self._store.writer.submit(writes.SAY_APPROVAL, word):
            self._hub.post(AgentId(agent_id), (ApprovalChanged(approval=approval),))
            if approval is Approval.APPROVED:
                self._tell([AgentId(agent_id)])
                await self._on_approved(AgentId(agent_id))
            else:
                self._on_barred(AgentId(agent_id), f"The agent was declined by {by.name}.")
        return await self.detail(agent_id)

    async def delete(self, agent_id: str, by: Actor) -> None:
        """Delete an agent with all its history: its key is dead at once, its link closed, told why."""
        known = AgentId(agent_id)
        left = await self._store.writer.submit(writes.DELETE_AGENTS, writes.Deletion(agent_id=known, by=by))
        self._presence.forget(known)
        self._on_barred(known, f"The agent was deleted by {by.name}.")
        self._hub.post(known, (Removed(detail=f"Deleted at the center by {by.name}."),))
        link = self._hub.get(known)
        if link is not None:
            self._hub.cut(link, NORMAL, "deleted")
        for key in left.blobs:
            await self._blobs.delete(key)
        await self._forget_terminals(left.terminals)

    async def counts(self) -> dict[str, int]:
        """Count agents: by approval, and those with an open link here."""
        counted = await self._store.trip(rows.count_by_approval)
        return {**counted, "linked": len(self._hub)}
