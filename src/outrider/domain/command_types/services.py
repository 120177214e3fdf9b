"""`services`: the host's services and how they are."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ServiceState = Literal["any", "active", "inactive", "failed"]


class ServicesParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which services are listed."""

    state: Annotated[
        ServiceState,
        Meta(description="Only those in this state; active means that they run, start, stop or reload."),
    ] = "any"
    match: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=256,
                description="Only those with this text in their name or description, whatever its case.",
            ),
        ]
        | None
    ) = None
