"""The lines that people paste on a host, as the center prints them, and what tests do with them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.fixtures.api import Api
from tests.fixtures.bare_host import BareHost


async def new_key(api: Api) -> Any:
    """An enrolment key as the center answers it, with its lines; hosts need no approval with it."""
    return await api.post("/api/enrolment-keys", {"approve": True})


async def new_line(api: Api, form: str = "curl", *words: str) -> str:
    """The line of a new key, with options behind it."""
    line: str = (await new_key(api))["install"][form]
    return with_words(line, *words) if words else line


def with_words(line: str, *words: str) -> str:
    """A line with options behind it, as the script's help says."""
    assert line.endswith("| sh")
    return " ".join((line, "-s", "--", *words))


@asynccontextmanager
async def installing(host: BareHost, line: str, until: tuple[str, str]) -> AsyncIterator[int]:
    """Run an install until it says this of a step; gives its number on the host, and waits for its end.

    The cable is out meanwhile, from when the agent is fetched: however quick the host is, the install does
    not come to its end before the block does.
    """
    process = await asyncio.create_subprocess_exec(
        *host.entering("sh", "-c", line),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert process.stdout is not None
    async for told in process.stdout:
        said = json.loads(told)
        if (said["step"], said["state"]) == ("unpack", "begun"):
            await host.unplug()
        if (said["step"], said["state"]) == until:
            break
    yield host.process("/usr/bin/python3 -I /proc/self/fd/")
    await process.communicate()
    await host.plug_in()
