"""The audit log: who changed what, when, and from where."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.client.asking import PAGE, Asking, given

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class AuditActor(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it. `kind` is `user`, `agent` or `center`; `via` the session or token they came in with."""

    kind: str
    id: str = ""
    name: str = ""
    via: str = ""
    address: str = ""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `hash` chains it to the entry before it."""

    number: int
    time: float
    actor: AuditActor
    action: str
    subject: str = ""
    data: Any = None
    hash: str = ""


class _AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[AuditEntry]
    next: int | None = None


class AuditVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the chain holds from `first` to `last`; if not, `problem` names the first bad entry."""

    ok: bool
    first: int | None = None
    last: int | None = None
    head: str | None = None
    problem: Any = None


_PATH: Final = "/api/audit"


class Audit(Asking):
    """The methods about the audit log; they take an administrator."""

    async def audit(
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
    ) -> AsyncGenerator[AuditEntry, None]:
        """The entries that match, page by page as they are read; `limit` of them at most.

        `order` is `asc` or `desc`; `since` and `until` are unix times.
        """
        left = limit
        query = {
            "actor": actor,
            "subject": subject,
            "action": action,
            "since": since,
            "until": until,
            "order": order,
        }
        place = after
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = await self._transport().ask(
                "GET",
                _PATH,
                _AuditPage,
                query=given({**query, "after": place, "limit": size}),
                repeatable=True,
            )
            for entry in page.entries:
                yield entry
            left = None if left is None else left - len(page.entries)
            if page.next is None or not page.entries:
                return
            place = page.next

    async def verify_audit(self) -> AuditVerdict:
        """Let the center walk the whole chain."""
        return await self._transport().ask("GET", _PATH + "/verify", AuditVerdict, repeatable=True)

    async def export_audit(self) -> AsyncGenerator[bytes, None]:
        """The whole log as newline-delimited JSON, in pieces of any size."""
        async with aclosing(self._transport().download(_PATH + "/export")) as pieces:
            async for piece in pieces:
                yield piece
