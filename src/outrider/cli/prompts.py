"""Questions to the person at the terminal."""

import asyncio
import sys

from outrider.domain.errors import Invalid


async def confirm(question: str) -> None:
    """Return if the answer is yes. Raises Invalid for any other, and where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Invalid(f"{question} There is no terminal to answer on: say so with --yes.")
    if not await asyncio.to_thread(_ask, question):
        raise Invalid("Nothing was done.")


def _ask(question: str) -> bool:
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
