"""`update_agent`: the host's agent is replaced by another version, which has to prove good first."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_TIMEOUT: Final = 3600.0


class UpdateAgentParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version.

    The command succeeds when the new version has reached the center, and fails when the host is back on the
    one before it. Until then it can't be told, so it is not over.
    """

    version: Annotated[
        str,
        Meta(
            max_length=80,
            pattern=r"^([0-9][0-9A-Za-z.!+_-]*)?$",
            description="Such as 0.2.0, or 0.2.0-BUILD, where the center keeps it; else the newest it has.",
        ),
    ] = ""
    force: Annotated[
        bool, Meta(description="Fetch and try it also where it runs already, such as over damaged files.")
    ] = False
    patience: Annotated[
        float,
        Meta(ge=1, le=600, description="Seconds that the new version gets to reach the center."),
    ] = 60.0
    timeout: Annotated[
        float,
        Meta(gt=0, le=MAX_TIMEOUT, description="Seconds in which it has to be fetched and put in place."),
    ] = 900.0
