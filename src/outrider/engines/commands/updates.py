"""An update of the agent, as it is written down: it outlives the agent that began it; its successor tells.

    fetched --> written down --> proposed --the launcher--> on trial --> good, or back on the version before

Until it is proposed nothing that runs is touched, and the command can be cancelled.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

import msgspec

from outrider.bootstrap.versions import Versions
from outrider.engines.commands.outliving import Remember


class UpdateMark(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="update", forbid_unknown_fields=True
):
    """The version in the folder `version` gets `patience` seconds to take the place of that in `previous`."""

    version: str
    previous: str
    patience: float


class Fetching(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the program that fetches: `note`, or, as the last one, `done` or `failed`."""

    state: str
    detail: str = ""
    name: str = ""
    version: str = ""
    build: str = ""


def dialled() -> AbstractAsyncContextManager[Mapping[str, str]]:
    """Where the program that fetches dials the center by itself, nothing has to be kept open for it."""
    return nullcontext({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """What an update takes.

    `program` brings a version among `versions`, with `environment`; it says how far it is as `Fetching`, a
    line each. `way` keeps open what it needs to reach the center while it runs, and gives the variables that
    tell it; it raises OSError. `running` is the version that this is. `restart` asks for a restart by the
    launcher. `settled` gives a future that is done once no trial is under way in this process.
    """

    versions: Versions
    running: str
    program: tuple[str, ...]
    environment: Mapping[str, str]
    remember: Remember
    restart: Callable[[], None]
    settled: Callable[[], asyncio.Future[None]]
    way: Callable[[], AbstractAsyncContextManager[Mapping[str, str]]] = dialled


def mark_of(packed: bytes) -> UpdateMark | None:
    """Read what was written down of a command; None when it is something else."""
    try:
        return msgspec.msgpack.decode(packed, type=UpdateMark)
    except msgspec.DecodeError:
        return None
