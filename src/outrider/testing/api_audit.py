"""The audit log of the center without a center: entries that a test adds."""

import hashlib
import json
from typing import Any, TypeAlias

from aiohttp import web

from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]


class FakeAudit:
    """The room's state and its handlers."""

    def __init__(self) -> None:
        """Begin with nothing written."""
        self.entries: list[Json] = []

    def write(self, action: str, subject: str, data: Json | None = None) -> Json:
        """Add an entry by `admin`."""
        before = self.entries[-1]["hash"] if self.entries else ""
        entry: Json = {
            "number": len(self.entries) + 1,
            "time": NOW,
            "actor": {"kind": "user", "id": "user_1", "name": "admin", "via": "", "address": "127.0.0.1"},
            "action": action,
            "subject": subject,
            "data": data or {},
        }
        text = before + json.dumps(entry, sort_keys=True)
        entry["hash"] = hashlib.sha256(text.encode()).hexdigest()
        self.entries.append(entry)
        return entry

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        return [
            web.get("/api/audit", self._list),
            web.get("/api/audit/verify", self._verify),
            web.get("/api/audit/export", self._export),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        newest_first = request.query.get("order", "desc") == "desc"
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 100))
        found = [
            entry
            for entry in (self.entries[::-1] if newest_first else self.entries)
            if (not after or (entry["number"] < after if newest_first else entry["number"] > after))
            and request.query.get("action", entry["action"]) == entry["action"]
            and request.query.get("subject", entry["subject"]) == entry["subject"]
        ]
        following = found[limit - 1]["number"] if len(found) > limit else None
        return web.json_response({"entries": found[:limit], "next": following})

    async def _verify(self, _: web.Request) -> web.Response:
        first, last = (self.entries[0], self.entries[-1]) if self.entries else (None, None)
        return web.json_response(
            {
                "ok": True,
                "first": first and first["number"],
                "last": last and last["number"],
                "head": last and last["hash"],
                "problem": None,
            }
        )

    async def _export(self, _: web.Request) -> web.Response:
        lines = "".join(json.dumps(entry) + "\n" for entry in self.entries)
        return web.Response(text=lines, content_type="application/x-ndjson")
