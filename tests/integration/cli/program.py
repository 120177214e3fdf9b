"""The program `outrider`, run as a process."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from outrider.testing.api import PASSWORD, FakeApi
from tests.fixtures.center import OwnCenter
from tests.fixtures.links import TestAgent

PROGRAM = (sys.executable, "-m", "outrider")


@dataclass(frozen=True)
class Ended:
    """What a run of the program gave."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Program:
    """The program with a configuration folder of its own."""

    config: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """The environment it gets: nothing of ours that would change what it does."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
        return kept | {
            "XDG_CONFIG_HOME": str(self.config),
            "XDG_CACHE_HOME": str(self.config / "cache"),
            **self.extra,
        }

    async def start(self, *words: str, prefix: Sequence[str] = ()) -> asyncio.subprocess.Process:
        """Start it with its three streams on pipes; `prefix` is a command that becomes the program."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *prefix, *PROGRAM, *words, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environ
        )

    async def run(self, *words: str, stdin: bytes = b"", prefix: Sequence[str] = ()) -> Ended:
        """Run it to its end."""
        process = await self.start(*words, prefix=prefix)
        out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    async def run_without_roots_rights(self, *words: str) -> Ended:
        """Run it as root without the right to read what is closed; anybody else has no such right."""
        dropped = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
        return await self.run(*words, prefix=dropped)

    async def login(self, api: FakeApi, *words: str) -> Ended:
        """Sign in to this center."""
        return await self.run("login", api.url, "--password-stdin", *words, stdin=f"{PASSWORD}\n".encode())


Signed = tuple[OwnCenter, Program, TestAgent]
"""A center, the program signed in to it as its super admin, and an agent that joined."""
