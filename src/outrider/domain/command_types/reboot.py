"""`reboot`: restart the host itself."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_DELAY: Final = 3600.0


class RebootParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When, and what the people who are signed in there are told.

    The command succeeds when the host is back under another boot id, and fails when it has not gone down
    `patience` seconds after the reboot was ordered. Until then it can't be told, so it is not over.
    """

    delay: Annotated[
        float,
        Meta(ge=0, le=MAX_DELAY, description="Seconds until it is ordered; till then it can be cancelled."),
    ] = 0.0
    message: Annotated[
        str,
        Meta(
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f-]?[^\x00-\x1f\x7f]*$",
            description="Shown to people who are signed in on the host; does not begin with a dash.",
        ),
    ] = ""
    patience: Annotated[
        float,
        Meta(gt=0, le=3600, description="Seconds in which the host is to go down once it was ordered."),
    ] = 300.0
