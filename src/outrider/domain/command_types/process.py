"""What the types that start a process have in common."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_TEXT: Final = 256 * 1024
MAX_ENVIRONMENT: Final = 256
DEFAULT_TIMEOUT: Final = 3600.0
MAX_TIMEOUT: Final = 7 * 24 * 3600.0


class ProcessParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and how a process runs."""

    timeout: Annotated[
        float, Meta(gt=0, le=MAX_TIMEOUT, description="Seconds until the whole process group is ended.")
    ] = DEFAULT_TIMEOUT
    cwd: (
        Annotated[str, Meta(min_length=1, max_length=4096, description="Working directory on the host.")]
        | None
    ) = None
    env: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)],
            Annotated[str, Meta(max_length=32768)],
        ],
        Meta(max_length=MAX_ENVIRONMENT, description="Variables added to the agent's clean environment."),
    ] = {}
    stdin: (
        Annotated[str, Meta(max_length=MAX_TEXT, description="Text the process reads; none means empty.")]
        | None
    ) = None
    user: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*\$?$",
                max_length=64,
                description="User to run as; only an agent that runs as root can change it.",
            ),
        ]
        | None
    ) = None
