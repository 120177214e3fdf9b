"""The guide to the Python client: what it shows runs against a real center."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.fixtures.api import Api
from tests.fixtures.center import RunningCenter
from tests.fixtures.links import enrol

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "python-client.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("place", range(len(EXAMPLES)))
async def test_an_example_runs_as_it_stands(center: RunningCenter, api: Api, place: int) -> None:
    """With `url` and `token` given, each ends well; a host that answers is there for them."""
    agent = await enrol(api, tags=["web"], label=f"guide-{place}")
    program = f"url = {center.url!r}\ntoken = {center.tokens['operator']!r}\n{EXAMPLES[place]}"
    async with agent.linked(api) as link:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", program, stdout=asyncio.subprocess.PIPE, env=os.environ
        )
        async with asyncio.TaskGroup() as group:

            async def answer() -> None:
                while True:
                    await link.run(b"up 3 days\n")

            answering = group.create_task(answer(), name="host")
            out, _ = await process.communicate()
            answering.cancel()
    await api.ask("DELETE", agent.path)
    assert process.returncode == 0
    assert out


def test_every_part_has_an_example() -> None:
    """Signing in, commands, many hosts, an event loop, errors."""
    assert len(EXAMPLES) == 5
