"""A large file down from a host and up to it, through the center, beside nginx proxying nginx.

Both ways have the same conditions: one proxy in the middle, one process behind it that has the disk, the
same curl in front, plain on both hops or TLS on both. Meanwhile commands go to the same agent, one after the
other, and the memory of center and agent is watched. Files lie in memory (/dev/shm), so that no disk is
measured; the agent makes its upload durable and hashes it, which nginx does not.
"""

import asyncio
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import trustme

from bench.rig.figures import Figure, percentile, say
from bench.rig.folders import home
from bench.rig.http import Connection
from bench.rig.operator import agents, authority, enrolment_key, sign_in
from bench.rig.options import Options, run
from bench.rig.profile import profiled
from bench.rig.programs import AgentProgram, CenterProgram
from bench.rig.usage import MEGABYTE, Usage, peaks_of, resident
from tests.fixtures.processes import free_port

TITLE = "a large file through the center, beside nginx proxying nginx"
SIZE: Final = int(os.environ.get("BENCH_FILE_BYTES", str(1024 * MEGABYTE)))
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - memory, so that no disk is measured
_ROUNDS: Final = 3
_PINGS: Final = 60
_SHARE: Final = 0.5
_GROWTH_MB: Final = 32.0
_SLOWER: Final = 2.0
_GIGABYTE: Final = 1024 * MEGABYTE

_NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; client_max_body_size 0; keepalive_timeout 75;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    {server}
}}
"""
_BEHIND: Final = """
    server {{ listen 127.0.0.1:{port}{tls}; root {root}; dav_methods PUT; create_full_put_path on; }}
"""
_BEFORE: Final = """
    server {{
        listen 127.0.0.1:{port}{tls};
        location / {{
            proxy_pass {scheme}://127.0.0.1:{behind}; proxy_http_version 1.1; proxy_request_buffering off;
            proxy_set_header Connection ""; proxy_buffers 16 256k; proxy_buffer_size 256k;
            proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0;
        }}
    }}
"""


class NotMeasured(Exception):
    """Something that is needed is missing or failed; the message says what."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One way that the file can go: how curl is told, and whose processor time it takes."""

    name: str
    down: tuple[str, ...]
    up: tuple[str, ...]
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Result:
    """One transfer."""

    rate: float
    cpu: float


async def measure(options: Options) -> list[Figure]:
    """Measure plain, then TLS."""
    if not shutil.which("nginx") or not shutil.which("curl"):
        raise NotMeasured("This takes nginx and curl: apt-get install nginx-light curl.")
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="outrider-bench-") as memory:
        folder = Path(memory)
        _make_file(folder / "file")
        figures: list[Figure] = []
        for tls in (False, True):
            figures += await _conditions(folder, options, tls=tls)
        return figures


def _make_file(file: Path) -> None:
    with file.open("wb") as opened:
        for _ in range(SIZE // MEGABYTE):
            opened.write(os.urandom(MEGABYTE))


async def _conditions(files: Path, options: Options, *, tls: bool) -> list[Figure]:
    word = "TLS" if tls else "plain"
    with home() as folder:
        async with CenterProgram(folder) as center, _nginx(files, tls=tls) as (address, pids, trusted):
            token = await sign_in(center)
            key = await enrolment_key(center, token)
            async with (
                AgentProgram(folder, center.tls_url if tls else center.url, key) as agent,
                Connection(center.url, token) as connection,
                profiled(center.pid, wanted=options.profile),
            ):
                agent_id = (await agents(center, token))[0]["id"]
                url = center.tls_url if tls else center.url
                ca = await authority(center, folder)
                ours = _our_way(url, agent_id, token, files, (center.pid, agent.pid), ca if tls else None)
                theirs = _their_way(address, files, pids, trusted if tls else None)
                pings = _Pings(connection, agent_id)
                idle = await pings.some(_PINGS)
                say(f"{word}: {SIZE // MEGABYTE} MiB down and up, {_ROUNDS} rounds each, by turns")
                return await _compare(word, ours, theirs, pings, idle, (center.pid, agent.pid))


async def _compare(
    word: str, ours: _Way, theirs: _Way, pings: "_Pings", idle: list[float], watched: tuple[int, int]
) -> list[Figure]:
    figures = []
    before = [resident(pid) for pid in watched]
    idle_p50 = percentile(idle, 0.5)
    async with peaks_of(watched) as peaks:
        for direction in ("down", "up"):
            our_results, their_results, meanwhile = [], [], []
            for _ in range(_ROUNDS):
                their_results.append(await _transfer(theirs, direction))
                our_results.append(await _transfer(ours, direction))
            async with pings.going_on() as during:
                await _transfer(ours, direction)
            meanwhile += during
            mine = statistics.median(each.rate for each in our_results)
            other = statistics.median(each.rate for each in their_results)
            figures += [
                Figure(f"{word} {direction}: through nginx", other / MEGABYTE, "MB/s"),
                Figure(f"{word} {direction}: through the center", mine / MEGABYTE, "MB/s"),
                Figure(f"{word} {direction}: times as long as nginx", other / mine, "x", 1 / _SHARE),
                Figure(
                    f"{word} {direction}: processor time of nginx, a GiB",
                    statistics.median(each.cpu for each in their_results) * _GIGABYTE / SIZE,
                    "s",
                ),
                Figure(
                    f"{word} {direction}: processor time of center and agent, a GiB",
                    statistics.median(each.cpu for each in our_results) * _GIGABYTE / SIZE,
                    "s",
                ),
                Figure(f"{word} {direction}: command round trip, idle p50", idle_p50 * 1000, "ms"),
                Figure(
                    f"{word} {direction}: command round trip meanwhile, p50 against idle",
                    percentile(meanwhile, 0.5) / idle_p50 if meanwhile else 0.0,
                    "x",
                    _SLOWER,
                ),
            ]
    for name, start, peak in zip(("center", "agent"), before, peaks, strict=True):
        figures.append(
            Figure(f"{word}: memory the {name} grew by", (peak - start) / MEGABYTE, "MB", _GROWTH_MB)
        )
    return figures


async def _transfer(way: _Way, direction: str) -> _Result:
    words = way.down if direction == "down" else way.up
    before = sum(Usage.of(pid).cpu for pid in way.pids)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--show-error", "--fail", *words,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await process.communicate()
    took = time.perf_counter() - began
    if process.returncode != 0:
        raise NotMeasured(f"{way.name} {direction}: {complaint.decode(errors='replace')}")
    return _Result(rate=SIZE / took, cpu=sum(Usage.of(pid).cpu for pid in way.pids) - before)


def _our_way(
    url: str, agent_id: str, token: str, files: Path, pids: tuple[int, ...], ca: Path | None
) -> _Way:
    common = ("--header", f"Authorization: Bearer {token}", *(("--cacert", str(ca)) if ca else ()))
    address = f"{url}/api/agents/{agent_id}/files"
    form = ("--form", f"dest={files / 'up'}", "--form", f"file=@{files / 'file'}")
    path = quote(str(files / "file"))
    return _Way(
        "center",
        (*common, "--output", os.devnull, f"{address}?path={path}"),
        (*common, *form, address),
        pids,
    )


def _their_way(address: str, files: Path, pids: tuple[int, ...], ca: Path | None) -> _Way:
    common = ("--cacert", str(ca)) if ca else ()
    return _Way(
        "nginx",
        (*common, "--output", os.devnull, f"{address}/file"),
        (*common, "--upload-file", str(files / "file"), f"{address}/up"),
        pids,
    )


@asynccontextmanager
async def _nginx(root: Path, *, tls: bool) -> AsyncIterator[tuple[str, tuple[int, ...], Path]]:
    """Run two of them, one before the other; gives the address, their workers, and the CA."""
    with tempfile.TemporaryDirectory(prefix="outrider-nginx-") as name:
        folder = Path(name)
        ca = trustme.CA()
        certificate = ca.issue_cert("localhost", "127.0.0.1")
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        certificate.private_key_pem.write_to_path(str(folder / "server.key"))
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(str(folder / "server.pem"), append=number > 0)
        behind, before = free_port(), free_port()
        scheme, word = ("https", " ssl") if tls else ("http", "")
        servers = {
            "behind": _BEHIND.format(port=behind, tls=word, root=root),
            "before": _BEFORE.format(port=before, tls=word, scheme=scheme, behind=behind),
        }
        processes = []
        try:
            for title, server in servers.items():
                part = folder / title
                part.mkdir()
                for file in ("server.pem", "server.key"):
                    shutil.copy(folder / file, part / file)
                text = _NGINX.format(folder=part, server=server)
                if os.geteuid() == 0:
                    text = f"user root;{text}"
                (part / "nginx.conf").write_text(text)
                processes.append(
                    await asyncio.create_subprocess_exec(
                        "nginx", "-c", str(part / "nginx.conf"), "-p", str(part)
                    )
                )
            await asyncio.gather(*(_listening(port, tls=tls) for port in (behind, before)))
            pids = tuple(pid for process in processes for pid in (process.pid, *_children(process.pid)))
            yield f"{scheme}://127.0.0.1:{before}", pids, folder / "ca.pem"
        finally:
            for process in processes:
                process.terminate()
                await process.wait()


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _listening(port: int, *, tls: bool) -> None:
    context = ssl._create_unverified_context() if tls else None  # noqa: S323, SLF001 - only whether it is there
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise NotMeasured("nginx does not start")


class _Pings:
    """Commands to the agent, one after the other."""

    def __init__(self, connection: Connection, agent_id: str) -> None:
        self._connection = connection
        self._path = f"/api/agents/{agent_id}/commands"

    async def one(self) -> float:
        """Send one and wait for its end."""
        began = time.perf_counter()
        answer = await self._connection.post(self._path, {"type": "ping", "params": {}})
        await self._connection.get(f"{self._path}/{answer['command_id']}?wait=30")
        return time.perf_counter() - began

    async def some(self, count: int) -> list[float]:
        """Send some; the first ones only warm up."""
        return [await self.one() for _ in range(count)][count // 6 :]

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[list[float]]:
        """Send them for as long as the block lasts."""
        taken: list[float] = []
        stopping = False

        async def go_on() -> None:
            while not stopping:
                taken.append(await self.one())

        async with asyncio.TaskGroup() as group:
            group.create_task(go_on())
            yield taken
            stopping = True


if __name__ == "__main__":
    sys.exit(run({TITLE: measure}))
