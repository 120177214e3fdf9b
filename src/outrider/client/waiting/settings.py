"""The methods of `outrider.client.settings`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from outrider.client.settings import CenterSetting


class WaitingSettings(Waiting):
    """The methods of Settings in `outrider.client.settings`; they promise and raise the same."""

    def settings(self) -> list[CenterSetting]:
        """Every setting, in the order of the settings page. Raises Forbidden without the role admin."""
        return self._wait(self._center.settings())
