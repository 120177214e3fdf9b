"""`processes`: what runs on the host."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

MAX_PROCESSES: Final = 10_000

Order = Literal["cpu", "memory", "started", "name", "pid"]


class ProcessesParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which processes are listed, and in which order."""

    sort: Annotated[
        Order,
        Meta(description="cpu and memory: the largest first; started: the newest first; name; pid."),
    ] = "cpu"
    limit: Annotated[
        int, Meta(ge=1, le=MAX_PROCESSES, description="How many are listed; `count` says how many there are.")
    ] = 100
    name: (
        Annotated[str, Meta(min_length=1, max_length=256, description="Only those of exactly this name.")]
        | None
    ) = None
    match: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=256,
                description="Only those with this text in their name or command line, whatever its case.",
            ),
        ]
        | None
    ) = None
    owner: (
        Annotated[
            str,
            Meta(min_length=1, max_length=64, description="Only those of this user, by name or number."),
        ]
        | None
    ) = None
    sample: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Seconds over which the processor's use is measured; 0: since each process began.",
        ),
    ] = 0.5
