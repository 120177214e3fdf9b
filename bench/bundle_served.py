"""A bundle served to many hosts at once over TLS: what the center's memory grows by, and how long it takes.

First all read as fast as they can; then all stop reading in the middle for a while, as hosts on slow lines
do, which fills every buffer on the way.
"""

import asyncio
import hashlib
import ssl
import sys
import time
from typing import Any, Final

import msgspec

from bench.rig.figures import Figure, say
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import authority, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import CenterProgram
from bench.rig.usage import MEGABYTE, Usage, peaks_of, resident
from outrider.center.bundles.installed import target_here

TITLE = "the agent's bundle, served to many hosts at once over TLS"
_HOSTS: Final = 50
_GROWTH_MB: Final = 50.0
_STALLED_SECONDS: Final = 5.0
_PIECE: Final = 64 * 1024


class NotServed(Exception):
    """A host did not get the bundle; the message says what it got."""


async def measure(options: Options) -> list[Figure]:
    """Let hosts fetch it, twice."""
    hosts = options.hosts or _HOSTS
    with home() as folder:
        async with CenterProgram(folder) as center:
            token = await sign_in(center)
            key = await enrolment_key(center, token)
            trusted = ssl.create_default_context(cafile=str(await authority(center, folder)))
            say("the first offer: the bundle is made")
            began = time.monotonic()
            offer = await _offer(center, key)
            made = time.monotonic() - began
            began = time.monotonic()
            await _offer(center, key)
            again = time.monotonic() - began
            fetching = _Fetching(center, key, trusted, offer)
            await fetching.by_one(0.0)
            figures = [
                Figure("first offer, which makes the bundle", made, "s"),
                Figure("an offer of what is made", again * 1000, "ms"),
                Figure("center: memory before", resident(center.pid) / MEGABYTE, "MB"),
            ]
            async with profiled(center.pid, wanted=options.profile):
                figures += await _served(center, fetching, hosts, 0.0, "all at full speed")
            return figures + await _served(
                center, fetching, hosts, _STALLED_SECONDS, f"all stop reading for {_STALLED_SECONDS:.0f} s"
            )


async def _offer(center: CenterProgram, key: str) -> dict[str, Any]:
    target = target_here()
    path = f"/api/agents/bundle/offer?python={target.python}&platform={target.platform}"
    async with Connection(center.url, headers=f"X-Enrolment-Key: {key}\r\n") as connection:
        answer: dict[str, Any] = msgspec.json.decode(await connection.get(path))
    return answer


class _Fetching:
    """Hosts that fetch one bundle."""

    def __init__(
        self, center: CenterProgram, key: str, trusted: ssl.SSLContext, offer: dict[str, Any]
    ) -> None:
        host, _, port = center.tls_url.removeprefix("https://").partition(":")
        self._address = (host, int(port))
        self._trusted = trusted
        self._offer = offer
        self._request = (
            f"GET /api/agents/bundle/{offer['digest']} HTTP/1.1\r\nHost: {host}\r\n"
            f"X-Enrolment-Key: {key}\r\nConnection: close\r\n\r\n"
        ).encode()

    async def by_one(self, stalled: float) -> None:
        """Let one host fetch it, which does not read for a while in the middle. Raises NotServed."""
        reader, writer = await asyncio.open_connection(*self._address, ssl=self._trusted, limit=_PIECE)
        try:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise NotServed(head.decode())
            digest, left = hashlib.sha256(), int(self._offer["size"])
            half = left // 2
            while piece := await reader.read(_PIECE):
                digest.update(piece)
                left -= len(piece)
                if stalled and left < half:
                    await asyncio.sleep(stalled)
                    stalled = 0.0
            if left or digest.hexdigest() != self._offer["digest"]:
                raise NotServed(f"{left} bytes are missing, or others came")
        finally:
            writer.close()


async def _served(
    center: CenterProgram, fetching: _Fetching, hosts: int, stalled: float, how: str
) -> list[Figure]:
    say(f"{hosts} hosts, {how}")
    before, used, began = resident(center.pid), Usage.of(center.pid), time.monotonic()
    async with peaks_of([center.pid]) as peaks, asyncio.TaskGroup() as group:
        for _ in range(hosts):
            group.create_task(fetching.by_one(stalled))
    took, cpu = time.monotonic() - began, Usage.of(center.pid).cpu - used.cpu
    grown = (peaks[0] - before) / MEGABYTE
    return [
        Figure(f"{hosts} hosts, {how}: memory the center grew by", grown, "MB", _GROWTH_MB),
        Figure(f"{hosts} hosts, {how}: until all have it", took, "s"),
        Figure(f"{hosts} hosts, {how}: processor time of the center", cpu, "s"),
    ]


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
