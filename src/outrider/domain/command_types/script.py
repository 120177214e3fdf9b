"""`script`: a whole script for an interpreter on the host."""

from typing import Annotated

from msgspec import Meta

from outrider.domain.command_types.process import MAX_TEXT, ProcessParams


class ScriptParams(ProcessParams, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body is written to a private file on the host and given to the interpreter."""

    body: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, description="The script's text.")]
    interpreter: Annotated[
        str,
        Meta(min_length=1, max_length=4096, description="Program that reads the script, by name or path."),
    ] = "/bin/sh"
    args: Annotated[
        list[Annotated[str, Meta(max_length=32768)]],
        Meta(max_length=256, description="Arguments for the script."),
    ] = []
