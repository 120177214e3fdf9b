"""`outrider microservices`: what a host's containers read as their configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, at, show_json, show_table
from outrider.cli.naming import find_agent, name_of
from outrider.cli.prompts import confirm
from outrider.domain.errors import Invalid
from outrider.domain.microservices import MAX_CONFIG, check_config
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from typing import BinaryIO

    from cyclopts import App

    from outrider.client import Agent, AsyncCenter, Microservice, MicroserviceConfig

_Host = Annotated[str, Parameter(name="HOST", help="Id, label or hostname.")]
_Id = Annotated[str, Parameter(name="ID", help="The microservice's id, as its container knows it.")]
_STDIN: Final = "-"


def command() -> App:
    """Make the command."""
    app = make_app("outrider microservices", summary="Configurations of hosts' containers.")
    app.command(list_microservices, name="list")
    app.command(remove, name="remove")
    config = make_app("outrider microservices config", summary="Read and store a configuration.")
    config.command(show_config, name="get")
    config.command(set_config, name="set")
    app.command(config, name="config")
    return app


def list_microservices(host: _Host, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """List a host's microservices."""

    async def look(center: AsyncCenter) -> list[Microservice]:
        return await center.microservices((await find_agent(center, host)).id)

    found = ask(where, look)
    if as_json:
        show_json(found)
        return
    show_table(
        [
            Column("ID", whole=True),
            Column("BYTES", whole=True),
            Column("CHANGED", whole=True),
            Column("BY"),
        ],
        [[one.id, str(one.bytes), at(one.changed), one.changed_by] for one in found],
        empty="No microservices.",
    )


def show_config(
    host: _Host, microservice: _Id, /, *, as_json: AsJson = False, where: Where | None = None
) -> None:
    """Print a configuration as it is; on a terminal with what could command it escaped."""
    found = ask(where, lambda center: _config(center, host, microservice))
    if as_json:
        show_json(found)
    elif sys.stdout.isatty():
        sys.stdout.write("\n".join(escape(line) for line in found.config.split("\n")) + "\n")
    else:
        sys.stdout.write(found.config)


async def _config(center: AsyncCenter, host: str, microservice: str) -> MicroserviceConfig:
    return await center.microservice_config((await find_agent(center, host)).id, microservice)


def set_config(
    host: _Host,
    microservice: _Id,
    file: Annotated[
        str | None,
        Parameter(name="FILE", allow_leading_hyphen=True, help="Where it is; - for standard input."),
    ] = None,
    /,
    *,
    text: Annotated[str | None, Parameter(help="The configuration itself, in place of a file.")] = None,
    where: Where | None = None,
) -> None:
    """Store a configuration; the container is told at once. The microservice may be a new one."""
    if (file is None) is (text is None):
        raise Invalid("Say what to store: a file, - for standard input, or --text.")
    config = text if text is not None else _read(file or "")
    check_config(config)

    async def store(center: AsyncCenter) -> tuple[Agent, Microservice]:
        agent = await find_agent(center, host)
        return agent, await center.configure_microservice(agent.id, microservice, config)

    agent, stored = ask(where, store)
    sys.stdout.write(f"{name_of(agent)}: {escape(stored.id)} has {stored.bytes} bytes.\n")


def _read(file: str) -> str:
    if file == _STDIN:
        return _text(sys.stdin.buffer)
    try:
        with Path(file).open("rb") as source:
            return _text(source)
    except OSError as error:
        raise Invalid(f"{file} can't be read: {error.strerror or error}.", field="file") from error


def _text(source: BinaryIO) -> str:
    data = source.read(MAX_CONFIG + 1)
    if len(data) > MAX_CONFIG:
        raise Invalid(f"A configuration has at most {MAX_CONFIG} bytes.", field="config", limit=MAX_CONFIG)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Invalid("A configuration is text in UTF-8.", field="config") from error


def remove(
    host: _Host,
    microservice: _Id,
    /,
    *,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")] = False,
    where: Where | None = None,
) -> None:
    """Remove a microservice with its configuration."""

    async def find(center: AsyncCenter) -> tuple[Agent, Microservice]:
        agent = await find_agent(center, host)
        return agent, await center.microservice_config(agent.id, microservice)

    agent, found = ask(where, find)
    if not yes:
        confirm(f"Remove {escape(found.id)} of {name_of(agent)} with its configuration?")
    ask(where, lambda center: center.remove_microservice(agent.id, found.id))
    sys.stdout.write(f"Removed {escape(found.id)} of {name_of(agent)}.\n")
