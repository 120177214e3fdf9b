"""Completion in real shells, and what it offers."""

import asyncio
import sys
from pathlib import Path

import pytest

from outrider.testing.api import FakeApi
from tests.integration.cli.program import Program

BASH = """
source <(outrider completion bash)
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_outrider; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
compdef() {{ :; }}; compadd() {{ shift; printf '%s\\n' "$@"; }}; _files() {{ :; }}
source <(outrider completion zsh)
words=({words}); CURRENT=${{#words}}
_outrider
"""
FISH = """
outrider completion fish | source
complete --do-complete "{line}"
"""


async def offered(program: Program, *words: str) -> list[str]:
    """What may stand in the place of the last of these words."""
    ended = await program.run("complete", "--", *words)
    assert (ended.code, ended.err) == (0, "")
    return ended.out.splitlines()


async def test_words_options_and_values_are_offered(signed_in: Program) -> None:
    """Words first, then each command's own words, options and the values that options take."""
    assert "agents" in await offered(signed_in, "")
    assert await offered(signed_in, "age") == ["agent", "agents"]
    assert await offered(signed_in, "agents", "de") == ["delete"]
    assert await offered(signed_in, "exec", "--conc") == ["--concurrency"]
    assert await offered(signed_in, "agents", "--status", "o") == ["offline", "online"]
    assert await offered(signed_in, "users", "add", "ada", "--role", "op") == ["operator"]
    assert await offered(signed_in, "agents", "--center=") == ["--center=local"]
    assert await offered(signed_in, "completion", "") == ["bash", "fish", "zsh"]
    assert await offered(signed_in, "no-such-word", "") == []


async def test_agents_and_centers_are_offered(api: FakeApi, signed_in: Program) -> None:
    """Names come from the center once and are remembered for a minute; a hostile one is never offered."""
    api.add_agent("agent_000000000003", "evil`reboot`")
    assert await offered(signed_in, "exec", "") == ["db-01", "web-01"]
    asked = len(api.requests)
    assert await offered(signed_in, "agents", "show", "w") == ["web-01"]
    assert len(api.requests) == asked
    assert await offered(signed_in, "agents", "--center", "") == ["local"]


async def test_a_center_that_is_away_or_silent_offers_nothing(api: FakeApi, signed_in: Program) -> None:
    """No complaint at the prompt, and no waiting for long."""
    api.hold.clear()
    async with asyncio.timeout(30):
        assert await offered(signed_in, "exec", "") == []
    api.hold.set()
    await api.stop()
    assert await offered(signed_in, "exec", "") == []


@pytest.mark.parametrize(
    "shell",
    [
        "bash",
        pytest.param("zsh", marks=pytest.mark.system),
        pytest.param("fish", marks=pytest.mark.system),
    ],
)
async def test_a_real_shell_completes(signed_in: Program, tmp_path: Path, shell: str) -> None:
    """The script that is printed works in the shell it is for."""
    program = tmp_path / "bin" / "outrider"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m outrider "$@"\n')
    program.chmod(0o755)
    environ = {**signed_in.environ, "PATH": f"{program.parent}:{signed_in.environ['PATH']}"}
    for line, wanted in (
        ("outrider agents de", ["delete"]),
        ("outrider exec we", ["web-01"]),
        ("outrider exec web-01 --conc", ["--concurrency"]),
    ):
        script = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(words=line, line=line)
        process = await asyncio.create_subprocess_exec(
            shell, "-c", script, stdout=asyncio.subprocess.PIPE, env=environ
        )
        out, _ = await process.communicate()
        assert out.decode().split() == wanted
