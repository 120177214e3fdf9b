"""What changes agents: enrolment, approval, labels and tags, deletion."""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from outrider.center.fleet.keys import spend
from outrider.center.fleet.tag_rows import replace_tags
from outrider.center.groups.sorting import sort_agents
from outrider.center.store.one_by_one import one_by_one
from outrider.center.store.schema import agent_certificates, agent_details, agents, commands, terminals
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor, ActorKind
from outrider.domain.connection_states import APPROVAL, Approval
from outrider.domain.errors import NotFound
from outrider.domain.ids import AgentId, TerminalId, new_agent_id
from outrider.protocol.messages import Facts


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A host that asks to join; its identity has been proved before."""

    key_id: str
    secret_hash: bytes
    device_id: str
    public_key: str
    agent_key_hash: bytes
    facts: Facts
    label: str
    address: str
    certificate: str = ""


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an enrolment; `fresh` is False when it repeats an earlier one."""

    agent_id: AgentId
    approval: Approval
    label: str
    fresh: bool
    key_id: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a person changes of an agent; None leaves it."""

    agent_id: AgentId
    by: Actor
    label: str | None = None
    tags: tuple[str, ...] | None = None


class Say(msgspec.Struct, frozen=True, kw_only=True):
    """An administrator's word about an agent."""

    agent_id: AgentId
    approval: Approval
    by: Actor


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """An agent to be deleted."""

    agent_id: AgentId
    by: Actor


def no_such_agent(agent_id: str) -> NotFound:
    """Make the error for an agent that does not exist."""
    return NotFound(f"There is no agent {agent_id[:80]}.", agent_id=agent_id[:80])


class EnrolAgents:
    """Enrol agents; asking again with the same key pair and agent key gives the first answer."""

    name = "enrol agents"
    rank = 20

    async def apply(self, tx: Transaction, items: Sequence[Enrolment]) -> Sequence[Enrolled | Exception]:
        """Enrol one after the other: each may spend the last use of a key."""
        return await one_by_one(tx, items, self._enrol)

    async def _enrol(self, tx: Transaction, item: Enrolment) -> Enrolled:
        row = (
            await tx.conn.execute(
                sa.select(agents.c.id, agent_details.c.key_hash, agents.c.approval, agents.c.label)
                .join(agent_details, agent_details.c.agent_id == agents.c.id)
                .where(agent_details.c.device_id == item.device_id)
            )
        ).one_or_none()
        if row is not None and bytes(row.key_hash) == item.agent_key_hash:
            return Enrolled(
                agent_id=AgentId(row.id),
                approval=Approval(row.approval),
                label=row.label,
                fresh=False,
                key_id=item.key_id,
            )
        key = await spend(tx, item.key_id, item.secret_hash)
        if row is None:
            return await self._add(
                tx, item, approve=key.approve, label=item.label or key.label, tags=key.tags
            )
        approval = Approval(row.approval)
        if key.approve and approval is Approval.PENDING:
            approval = Approval.APPROVED
        await tx.conn.execute(sa.update(agents).where(agents.c.id == row.id).values(approval=approval.value))
        await tx.conn.execute(
            sa.update(agent_details)
            .where(agent_details.c.agent_id == row.id)
            .values(key_hash=item.agent_key_hash, public_key=item.public_key, enrolment_key_id=item.key_id)
        )
        await _keep_certificate(tx, row.id, item.certificate)
        tx.event("agent.enrolled_again", row.id, {"approval": approval.value, "address": item.address})
        _audit_enrolment(tx, item, "agent.enrol_again", agent_id=row.id, label=row.label, approval=approval)
        return Enrolled(
            agent_id=AgentId(row.id), approval=approval, label=row.label, fresh=True, key_id=item.key_id
        )

    async def _add(
        self, tx: Transaction, item: Enrolment, *, approve: bool, label: str, tags: Sequence[str]
    ) -> Enrolled:
        agent_id = new_agent_id(tx.now)
        approval = Approval.APPROVED if approve else Approval.PENDING
        label = label or item.facts.hostname
        await tx.conn.execute(
            sa.insert(agents).values(
                id=agent_id,
                approval=approval.value,
                last_seen=tx.now,
                label=label,
                hostname=item.facts.hostname,
                ip=item.facts.ip or item.address,
                os=item.facts.os,
                os_family=item.facts.os_family,
                version=item.facts.agent_version,
            )
        )
        await tx.conn.execute(
            sa.insert(agent_details).values(
                agent_id=agent_id,
                device_id=item.device_id,
                key_hash=item.agent_key_hash,
                public_key=item.public_key,
                facts=item.facts,
                first_seen=tx.now,
                approved_by=f"enrolment key {item.key_id}" if approve else None,
                approved_at=tx.now if approve else None,
                enrolment_key_id=item.key_id,
            )
        )
        await _keep_certificate(tx, agent_id, item.certificate)
        await replace_tags(tx, agent_id, tags)
        await sort_agents(tx, [agent_id])
        tx.event(
            "agent.enrolled", agent_id, {"label": label, "approval": approval.value, "address": item.address}
        )
        _audit_enrolment(tx, item, "agent.enrol", agent_id=agent_id, label=label, approval=approval)
        return Enrolled(agent_id=agent_id, approval=approval, label=label, fresh=True, key_id=item.key_id)


async def _keep_certificate(tx: Transaction, agent_id: str, certificate: str) -> None:
    await tx.conn.execute(sa.delete(agent_certificates).where(agent_certificates.c.agent_id == agent_id))
    if certificate:
        kept = sa.insert(agent_certificates).values(agent_id=agent_id, certificate=certificate)
        await tx.conn.execute(kept)


def _audit_enrolment(
    tx: Transaction, item: Enrolment, action: str, *, agent_id: str, label: str, approval: Approval
) -> None:
    agent = Actor(kind=ActorKind.AGENT, id=agent_id, name=label, via=item.key_id, address=item.address)
    told = {
        "approval": approval.value,
        "enrolment_key": item.key_id,
        "device_id": item.device_id,
        "hostname": item.facts.hostname,
    }
    tx.audit(agent, action, agent_id, told)


class ChangeAgents:
    """Set labels and tags."""

    name = "change agents"
    rank = 21

    async def apply(self, tx: Transaction, items: Sequence[Change]) -> Sequence[Exception | None]:
        """Apply each change, then sort the agents; `NotFound` for an agent that is gone."""
        results: list[Exception | None] = []
        for item in items:
            values = {"id": item.agent_id} if item.label is None else {"label": item.label}
            done = await tx.conn.execute(
                sa.update(agents).where(agents.c.id == item.agent_id).values(**values)
            )
            if not done.rowcount:
                results.append(no_such_agent(item.agent_id))
                continue
            if item.tags is not None:
                await replace_tags(tx, item.agent_id, item.tags)
            changed = {"label": item.label, "tags": item.tags}
            said = {name: value for name, value in changed.items() if value is not None}
            tx.event("agent.changed", item.agent_id, {**said, "by": item.by.name})
            tx.audit(item.by, "agent.change", item.agent_id, said)
            results.append(None)
        await sort_agents(
            tx, {item.agent_id for item in items if item.label is not None or item.tags is not None}
        )
        return results


_SAYING: Final = {
    Approval.APPROVED: "agent.approve",
    Approval.DECLINED: "agent.decline",
}


class SayApproval:
    """Approve or decline agents; saying the same again changes nothing."""

    name = "approve or decline agents"
    rank = 22

    async def apply(self, tx: Transaction, items: Sequence[Say]) -> Sequence[bool | Exception]:
        """Return for each whether it changed anything; `NotFound` for an agent that is gone."""
        results: list[bool | Exception] = []
        for item in items:
            current = (
                await tx.conn.execute(sa.select(agents.c.approval).where(agents.c.id == item.agent_id))
            ).scalar_one_or_none()
            if current is None:
                results.append(no_such_agent(item.agent_id))
            elif Approval(current) is item.approval:
                results.append(False)
            else:
                APPROVAL.check(Approval(current), item.approval)
                await tx.conn.execute(
                    sa.update(agents).where(agents.c.id == item.agent_id).values(approval=item.approval.value)
                )
                await tx.conn.execute(
                    sa.update(agent_details)
                    .where(agent_details.c.agent_id == item.agent_id)
                    .values(approved_by=item.by.name, approved_at=tx.now)
                )
                tx.event(f"agent.{item.approval.value}", item.agent_id, {"by": item.by.name})
                tx.audit(item.by, _SAYING[item.approval], item.agent_id, {"was": current})
                results.append(True)
        return results


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a deleted agent outside of the database."""

    #: Of its commands' output.
    blobs: list[str]
    #: Those with recordings.
    terminals: list[TerminalId]


class DeleteAgents:
    """Delete agents with all their history; returns what is left of them."""

    name = "delete agents"
    rank = 90

    async def apply(self, tx: Transaction, items: Sequence[Deletion]) -> Sequence[Deleted | Exception]:
        """Delete each; `NotFound` for an agent that is gone."""
        results: list[Deleted | Exception] = []
        for item in items:
            blobs = await tx.conn.execute(
                sa.select(commands.c.stdout_blob, commands.c.stderr_blob).where(
                    commands.c.agent_id == item.agent_id,
                    sa.or_(commands.c.stdout_blob.is_not(None), commands.c.stderr_blob.is_not(None)),
                )
            )
            keys = [key for row in blobs for key in row if key is not None]
            recorded = sa.select(terminals.c.id).where(
                terminals.c.agent_id == item.agent_id, terminals.c.recorded
            )
            shown = list((await tx.conn.execute(recorded)).scalars())
            gone = (
                await tx.conn.execute(
                    sa.select(agents.c.label, agents.c.hostname, agent_details.c.device_id)
                    .join(agent_details, agent_details.c.agent_id == agents.c.id)
                    .where(agents.c.id == item.agent_id)
                )
            ).one_or_none()
            if gone is None:
                results.append(no_such_agent(item.agent_id))
                continue
            await tx.conn.execute(sa.delete(agents).where(agents.c.id == item.agent_id))
            tx.event("agent.deleted", item.agent_id, {"by": item.by.name})
            # The id alone would say nothing to anybody once the agent is gone.
            tx.audit(item.by, "agent.delete", item.agent_id, gone._asdict())
            results.append(Deleted(blobs=keys, terminals=shown))
        return results


ENROL_AGENTS = EnrolAgents()
CHANGE_AGENTS = ChangeAgents()
SAY_APPROVAL = SayApproval()
DELETE_AGENTS = DeleteAgents()
