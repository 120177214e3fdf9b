"""The methods of `outrider.client.bundles`, each waiting for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.client.waiting.base import Waiting

if TYPE_CHECKING:
    from outrider.client.bundles import Bundle, BundleOffer


class WaitingBundles(Waiting):
    """The methods of Bundles in `outrider.client.bundles`; they promise and raise the same."""

    def bundles(self) -> list[Bundle]:
        """All bundles that are kept, newest first."""
        return self._wait(self._center.bundles())

    def bundle_offer(self, python: str, platform: str, *, version: str | None = None) -> BundleOffer:
        """Say what a host with this Python (`3.11`) and platform (`linux-x86_64`) gets."""
        return self._wait(self._center.bundle_offer(python, platform, version=version))
