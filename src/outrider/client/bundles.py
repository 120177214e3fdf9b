"""Bundles of the agent that a center gives to hosts."""

from __future__ import annotations

import msgspec

from outrider.client.asking import Asking


class BundleOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that a host can fetch. `digest` is the archive's SHA-256; sizes are bytes."""

    version: str
    build: str
    name: str
    digest: str
    size: int
    python: str
    platform: str
    unpacked: int = 0
    glibc: str = ""
    protocol: tuple[int, int] = (1, 1)


class Bundle(BundleOffer, frozen=True, kw_only=True):
    """A bundle as administrators see it. `agents` run it; `offered` is what new hosts like that get."""

    packages: dict[str, str] = {}
    origin: str = ""
    created: float = 0.0
    created_by: str = ""
    agents: int = 0
    offered: bool = False


class Bundles(Asking):
    """The methods about bundles."""

    async def bundles(self) -> list[Bundle]:
        """All bundles that are kept, newest first."""
        return await self._transport().ask("GET", "/api/bundles", list[Bundle], repeatable=True)

    async def bundle_offer(self, python: str, platform: str, *, version: str | None = None) -> BundleOffer:
        """Say what a host with this Python (`3.11`) and platform (`linux-x86_64`) gets.

        The center's own bundle is made when it is not there yet. Raises NotFound, which says how there will
        be one.
        """
        query = {"python": python, "platform": platform}
        if version is not None:
            query["version"] = version
        return await self._transport().ask(
            "GET", "/api/agents/bundle/offer", BundleOffer, query=query, repeatable=True
        )
