"""What is written of deployments and host keys. Begin and end go to the audit log with it; no secret does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from outrider.center.deploy.rows import DeploymentRow, Place
from outrider.center.store.schema import deployments, ssh_host_keys
from outrider.center.store.writer import Transaction
from outrider.domain.actors import Actor
from outrider.domain.deployments import DEPLOYMENT, DeploymentState, DeployStep
from outrider.domain.errors import NotFound
from outrider.domain.host_keys import HostKey, place_of
from outrider.domain.ids import AgentId, DeploymentId, HostKeyId, KeyId, new_host_key_id


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that somebody asks for; `told` is what the audit log keeps of how."""

    row: DeploymentRow
    by: Actor
    told: dict[str, Any]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a deployment is."""

    id: DeploymentId
    state: DeploymentState
    step: DeployStep | None
    steps: list[dict[str, Any]]
    enrolment_key_id: KeyId | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a deployment has ended."""

    id: DeploymentId
    by: Actor
    state: DeploymentState
    step: DeployStep | None
    steps: list[dict[str, Any]]
    code: str = ""
    reason: str = ""
    output: str = ""
    agent_id: AgentId | None = None
    changed: bool | None = None


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants a deployment to end."""

    id: DeploymentId
    by: Actor


class Remembering(msgspec.Struct, frozen=True, kw_only=True):
    """A host's key that was admitted; `pinned` when somebody had named it beforehand."""

    place: Place
    key: HostKey
    by: Actor
    pinned: bool


class Forgetting(msgspec.Struct, frozen=True, kw_only=True):
    """A host key that is to be forgotten."""

    id: HostKeyId
    by: Actor


class BeginDeployments:
    """Write down deployments before anything is done for them."""

    name = "begin deployments"
    rank = 60

    async def apply(self, tx: Transaction, items: Sequence[Beginning]) -> Sequence[None]:
        """Write them all."""
        for item in items:
            await tx.conn.execute(sa.insert(deployments).values(**msgspec.to_builtins(item.row)))
            tx.event("deployment.begun", item.row.id, {"by": item.by.name})
            tx.audit(item.by, "deployment.begin", item.row.id, item.told)
        return [None] * len(items)


class NoteProgress:
    """Write down how far deployments are; one that has ended stays as it is."""

    name = "progress of deployments"
    rank = 61

    async def apply(self, tx: Transaction, items: Sequence[Progress]) -> Sequence[None]:
        """Write them all."""
        for item in items:
            values: dict[str, Any] = {"state": item.state.value, "step": item.step, "steps": item.steps}
            if item.enrolment_key_id is not None:
                values["enrolment_key_id"] = item.enrolment_key_id
            await tx.conn.execute(
                sa.update(deployments)
                .where(deployments.c.id == item.id, deployments.c.finished.is_(None))
                .values(**values)
            )
        return [None] * len(items)


class EndDeployments:
    """Write down that deployments are over; each once."""

    name = "end deployments"
    rank = 62

    async def apply(self, tx: Transaction, items: Sequence[Ending]) -> Sequence[bool]:
        """Return whether it was this that ended each."""
        return [await self._end(tx, item) for item in items]

    async def _end(self, tx: Transaction, item: Ending) -> bool:
        changed = await tx.conn.execute(
            sa.update(deployments)
            .where(
                deployments.c.id == item.id,
                deployments.c.finished.is_(None),
                deployments.c.state.in_(sorted(state.value for state in DEPLOYMENT.before(item.state))),
            )
            .values(
                finished=tx.now,
                state=item.state.value,
                step=item.step,
                steps=item.steps,
                code=item.code,
                reason=item.reason,
                output=item.output,
                agent_id=item.agent_id,
                changed=item.changed,
            )
        )
        if not changed.rowcount:
            return False
        told = {
            "state": item.state.value,
            "step": item.step,
            "code": item.code,
            "reason": item.reason,
            "agent_id": item.agent_id,
            "changed": item.changed,
        }
        tx.event("deployment.ended", item.id, {"state": item.state.value, "agent_id": item.agent_id})
        tx.audit(item.by, "deployment.end", item.id, told)
        return True


class NoteCancellations:
    """Write down who wants deployments to end; they are ended by whoever is at work on them."""

    name = "cancel deployments"
    rank = 63

    async def apply(self, tx: Transaction, items: Sequence[Cancellation]) -> Sequence[None]:
        """Write them all."""
        for item in items:
            tx.audit(item.by, "deployment.cancel", item.id)
        return [None] * len(items)


class RememberHostKeys:
    """Remember by which keys hosts are recognised; the same again changes nothing."""

    name = "remember host keys"
    rank = 64

    async def apply(self, tx: Transaction, items: Sequence[Remembering]) -> Sequence[bool]:
        """Return whether each was new."""
        return [await self._remember(tx, item) for item in items]

    async def _remember(self, tx: Transaction, item: Remembering) -> bool:
        place = item.place
        here = (
            ssh_host_keys.c.host == place.host,
            ssh_host_keys.c.port == place.port,
            ssh_host_keys.c.via == place.via,
        )
        known = (
            await tx.conn.execute(sa.select(ssh_host_keys.c.id, ssh_host_keys.c.blob).where(*here))
        ).one_or_none()
        if known is not None and bytes(known.blob) == item.key.blob:
            return False
        key_id = new_host_key_id(tx.now) if known is None else HostKeyId(known.id)
        values = {"blob": item.key.blob, "remembered": tx.now, "remembered_by": item.by.name}
        if known is None:
            await tx.conn.execute(
                sa.insert(ssh_host_keys).values(
                    id=key_id, host=place.host, port=place.port, via=place.via, **values
                )
            )
        else:
            await tx.conn.execute(sa.update(ssh_host_keys).where(*here).values(**values))
        told = {
            "host": place_of(place.host, place.port, [place.via] if place.via else ()),
            "fingerprint": item.key.fingerprint,
            "pinned": item.pinned,
            "was": None if known is None else HostKey(bytes(known.blob)).fingerprint,
        }
        tx.audit(item.by, "host_key.remember", key_id, told)
        return True


class ForgetHostKeys:
    """Forget host keys: the next one that such a host shows is trusted."""

    name = "forget host keys"
    rank = 65

    async def apply(self, tx: Transaction, items: Sequence[Forgetting]) -> Sequence[Exception | None]:
        """Forget each; `NotFound` for one that is not remembered."""
        results: list[Exception | None] = []
        for item in items:
            known = (
                await tx.conn.execute(sa.select(ssh_host_keys).where(ssh_host_keys.c.id == item.id))
            ).one_or_none()
            if known is None:
                results.append(NotFound(f"There is no host key {item.id[:80]}."))
                continue
            await tx.conn.execute(sa.delete(ssh_host_keys).where(ssh_host_keys.c.id == item.id))
            told = {
                "host": place_of(known.host, known.port, [known.via] if known.via else ()),
                "fingerprint": HostKey(bytes(known.blob)).fingerprint,
            }
            tx.audit(item.by, "host_key.forget", item.id, told)
            results.append(None)
        return results


BEGIN: Final = BeginDeployments()
PROGRESS: Final = NoteProgress()
END: Final = EndDeployments()
CANCEL: Final = NoteCancellations()
REMEMBER: Final = RememberHostKeys()
FORGET: Final = ForgetHostKeys()
