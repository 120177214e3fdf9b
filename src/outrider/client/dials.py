"""Dials: addresses at which agents wait for the center to dial them."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from outrider.client.asking import Asking

_DIALS: Final = "/api/dials"


class Dial(msgspec.Struct, frozen=True, kw_only=True):
    """An address that the center dials. `state` is `dialling`, `connected` or `linked`.

    `agent_id` is None until an agent has opened its link there; `reason` says why the last try failed.
    """

    id: str
    address: str = ""
    agent_id: str | None = None
    state: str = ""
    reason: str = ""
    created: float | None = None
    created_by: str | None = None


class Dials(Asking):
    """The methods about dials."""

    async def dials(self) -> list[Dial]:
        """All dials, oldest first."""
        return await self._transport().ask("GET", _DIALS, list[Dial], repeatable=True)

    async def dial(self, dial_id: str) -> Dial:
        """One dial, as it stands now. Raises NotFound."""
        return await self._transport().ask("GET", _path(dial_id), Dial, repeatable=True)

    async def add_dial(self, address: str) -> Dial:
        """Have the center dial `host:port` from now on; an address that is dialled already keeps its dial."""
        return await self._transport().ask("POST", _DIALS, Dial, body={"address": address}, repeatable=True)

    async def move_dial(self, dial_id: str, address: str) -> Dial:
        """Have the agent of a dial dialled at another address. Raises NotFound or Conflict."""
        body = {"address": address}
        return await self._transport().ask("PATCH", _path(dial_id), Dial, body=body, repeatable=True)

    async def remove_dial(self, dial_id: str) -> None:
        """Have an address dialled no more; what is open there is closed. Raises NotFound."""
        await self._transport().fetch("DELETE", _path(dial_id))


def _path(dial_id: str) -> str:
    return f"{_DIALS}/{quote(dial_id, safe='')}"
