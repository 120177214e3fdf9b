"""What may stand next on a command line: what the shells' completion asks for, one candidate a line.

`outrider complete -- WORDS...` gets the words up to the cursor, the last one perhaps begun. It never fails
and never hangs: what can't be known quickly is left out.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from outrider.cli.words import DAEMONS, WORDS
from outrider.domain.errors import OutriderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cyclopts import App
    from cyclopts.argument import Argument

_PATIENCE: Final = 1.0
"""Seconds that a center gets to name its agents; a person waits for them at the prompt."""
_MOST: Final = 2000
_AGENTS: Final = frozenset({"agent", "more", "agents", "target"})
_CENTERS: Final = frozenset({"center", "name"})


def main(words: Sequence[str]) -> int:
    """Print the candidates for the last of `words`, which stand after `outrider`."""
    before, begun = list(words[:-1]), words[-1] if words else ""
    found = sorted(set(candidates(before, begun)))
    sys.stdout.write("".join(f"{each}\n" for each in found[:_MOST]))
    return 0


def candidates(before: Sequence[str], begun: str) -> list[str]:
    """The candidates that begin with `begun`, after the words `before`."""
    if not before:
        names = [word.name for word in (*WORDS, *DAEMONS)]
        return _fitting([*names, "--help", "--version"], begun)
    word = next((each for each in WORDS if each.name == before[0]), None)
    if word is None or "--" in before[1:]:
        return []
    app: App = importlib.import_module(word.module).command()
    rest = list(before[1:])
    while rest and not rest[0].startswith("-") and rest[0] in app.resolved_commands():
        app = app.resolved_commands()[rest.pop(0)]
    return _within(app, rest, begun)


def _within(app: App, before: Sequence[str], begun: str) -> list[str]:
    """The candidates inside one command: its own words, options, and values."""
    commands = [] if before else [name for name in app.resolved_commands() if not name.startswith("-")]
    if app.default_command is None:
        return _fitting([*commands, "--help"], begun)
    arguments = list(app.assemble_argument_collection(parse_docstring=False))
    options = {name: each for each in arguments for name in each.names if name.startswith("-")}
    asked = options.get(before[-1]) if before else None
    if asked is not None and not _is_flag(asked):
        return _fitting(_values(asked), begun)
    if begun.startswith("--") and "=" in begun:
        name, _, value = begun.partition("=")
        given = options.get(name)
        return [f"{name}={each}" for each in _fitting(_values(given), value)] if given else []
    if begun.startswith("-"):
        return _fitting([*options, "--help"], begun)
    place = _place(arguments, _positional(before, options))
    return _fitting([*commands, *(_values(place) if place else ())], begun)


def _place(arguments: Sequence[Argument], taken: int) -> Argument | None:
    """The positional argument that comes after as many as are taken; the last one may go on and on."""
    places = [each for each in arguments if each.index is not None]
    if taken < len(places):
        return places[taken]
    goes_on = places and places[-1].field_info.kind is places[-1].field_info.VAR_POSITIONAL
    return places[-1] if goes_on else None


def _positional(before: Sequence[str], options: dict[str, Argument]) -> int:
    """How many of the words are no options and no values of options."""
    count, skip = 0, False
    for word in before:
        if skip:
            skip = False
        elif word.startswith("-"):
            option = options.get(word)
            skip = option is not None and not _is_flag(option)
        else:
            count += 1
    return count


def _is_flag(argument: Argument) -> bool:
    count, _ = argument.token_count()
    return not count


def _values(argument: Argument) -> list[str]:
    name = argument.field_info.name
    if choices := argument.get_choices():
        return list(choices)
    if name == "status":
        return ["online", "offline", "pending", "declined"]
    if name in _AGENTS:
        return _agents()
    if name in _CENTERS:
        return _centers()
    return []


def _centers() -> list[str]:
    from outrider.cli import centers

    try:
        return list(centers.load(centers.default_path(os.environ)).centers)
    except OutriderError:
        return []


def _agents() -> list[str]:
    """The labels of the current center's agents: as remembered, or asked for with little patience."""
    import asyncio

    from outrider.cli.connection import Where, chosen
    from outrider.cli.memory import Memory

    try:
        name, found = chosen(Where(center=os.environ.get("OUTRIDER_CENTER") or None))
    except OutriderError:
        return []
    memory = Memory.of(name, os.environ)
    if memory.names_are_fresh:
        return memory.names

    from outrider.client import AsyncCenter

    async def look() -> list[str]:
        async with (
            asyncio.timeout(_PATIENCE),
            AsyncCenter(
                found.url,
                token=found.token,
                authority=found.authority or None,
                allow_plain=found.allow_plain,
            ) as center,
        ):
            pages: Any = center.agent_pages(limit=_MOST)
            async for page in pages:
                return [agent.label or agent.hostname or agent.id for agent in page]
        return []

    try:
        names = asyncio.run(look())
    except (OutriderError, TimeoutError):
        # Old names are better than none; at a prompt nobody wants to read why.
        return memory.names
    memory.note_names(names)
    return names


def _fitting(words: Iterable[str], begun: str) -> list[str]:
    # A name that a shell would have to quote, or that could command a terminal, is not offered.
    return [word for word in words if word.startswith(begun) and _is_plain(word)]


def _is_plain(word: str) -> bool:
    return word.isprintable() and not any(char in " \t\n'\"\\$`!*?[](){}<>|&;#~" for char in word)
