"""The methods of `outrider.client.dials`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from outrider.client.dials import Dial


class WaitingDials(Waiting):
    """The methods of Dials in `outrider.client.dials`; they promise and raise the same."""

    def dials(self) -> list[Dial]:
        """All dials, oldest first."""
        return self._wait(self._center.dials())

    def dial(self, dial_id: str) -> Dial:
        """One dial, as it stands now. Raises NotFound."""
        return self._wait(self._center.dial(dial_id))

    def add_dial(self, address: str) -> Dial:
        """Have the center dial `host:port` from now on; an address that is dialled already keeps its dial."""
        return self._wait(self._center.add_dial(address))

    def move_dial(self, dial_id: str, address: str) -> Dial:
        """Have the agent of a dial dialled at another address. Raises NotFound or Conflict."""
        return self._wait(self._center.move_dial(dial_id, address))

    def remove_dial(self, dial_id: str) -> None:
        """Have an address dialled no more; what is open there is closed. Raises NotFound."""
        self._wait(self._center.remove_dial(dial_id))
