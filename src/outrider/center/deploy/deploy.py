"""The room of deployments: its parts wired."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from outrider.bootstrap.program import program
from outrider.center.bundles.service import BundleService, Offer
from outrider.center.deploy.contact import Patience
from outrider.center.deploy.errand import Parts
from outrider.center.deploy.follow import DeployFollowing
from outrider.center.deploy.key_files import KeyFiles
from outrider.center.deploy.reach import Reach, Trust
from outrider.center.deploy.remote import HostFacts
from outrider.center.deploy.service import DeployService
from outrider.center.fleet.presence import Presence
from outrider.center.fleet.service import FleetService
from outrider.center.security.authority import Authority
from outrider.center.settings import CenterSettings
from outrider.center.store.engine import Store
from outrider.kit.clock import Clock


class Deploy:
    """What brings the agent to hosts; `service` is one."""

    def __init__(
        self,
        settings: CenterSettings,
        store: Store,
        fleet: FleetService,
        presence: Presence,
        bundles: BundleService,
        authority: Authority | None,
        clock: Clock,
    ) -> None:
        """Wire the parts; hosts recognise the center by its `authority`, where it has one."""
        trust = Trust()
        if authority is not None:
            trust = Trust(ca_pem=authority.chain_pem().decode("ascii"), pins=tuple(sorted(authority.pins())))
        self.reach = Reach(settings.public_url, trust)
        parts = Parts(
            store=store,
            fleet=fleet,
            is_there=presence.is_there,
            supply=_Supply(bundles),
            reach=self.reach,
            key_files=KeyFiles(Path(settings.deploy_keys)),
            clock=clock,
            patience=Patience(),
            agent_socket=os.environ.get("SSH_AUTH_SOCK", ""),
        )
        self.service = DeployService(parts)
        self.following = DeployFollowing(self.service, clock)

    @property
    def handed(self) -> Mapping[str, object]:
        """What handlers are given, by their parameter's name."""
        return {"deployments": self.service, "deploy_following": self.following}


class _Supply:
    """Brings the bundles that the center keeps."""

    def __init__(self, bundles: BundleService) -> None:
        self._bundles = bundles

    async def offer(self, facts: HostFacts) -> Offer:
        """Find the bundle for a host."""
        return await self._bundles.offer(facts.target, glibc=facts.glibc)

    def pieces(self, digest: str) -> AsyncGenerator[bytes, None]:
        """Give its bytes."""
        return self._bundles.open(digest)

    async def program(self) -> bytes:
        """Make the installer."""
        return await asyncio.to_thread(program)
