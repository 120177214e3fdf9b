"""The methods of `outrider.client.audit`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outrider.client.audit import AuditEntry, AuditVerdict


class WaitingAudit(Waiting):
    """The methods of Audit in `outrider.client.audit`; they promise and raise the same."""

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
