"""`shell`: a line for the host's shell."""

from typing import Annotated

from msgspec import Meta

from outrider.domain.command_types.process import MAX_TEXT, ProcessParams


class ShellParams(ProcessParams, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Run with `/bin/sh -c`: pipes and quotes work."""

    command: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, description="The line for /bin/sh -c.")]
