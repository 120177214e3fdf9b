"""`packages`: what is installed on the host, and what of it could be upgraded."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from outrider.domain.command_types.faults import ParamFault

Shown = Literal["installed", "upgradable"]


class PackagesParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which packages are listed."""

    show: Annotated[Shown, Meta(description="All that is installed, or what has a newer version.")] = (
        "installed"
    )
    match: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=256,
                description="Only packages with this text in their name, whatever its case.",
            ),
        ]
        | None
    ) = None
    refresh: Annotated[
        bool,
        Meta(description="Ask the host's sources first what there is; else what it knew last counts."),
    ] = False
    timeout: Annotated[float, Meta(gt=0, le=3600, description="Seconds until it is given up.")] = 300.0

    def __post_init__(self) -> None:
        """Check what belongs together. Raises ParamFault."""
        if self.refresh and self.show != "upgradable":
            raise ParamFault("refresh", "goes with `show` upgradable; what is installed is known")
