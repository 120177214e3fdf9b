"""One command, as it is given to its type."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from outrider.domain.ids import CommandId
from outrider.engines.commands.capture import Capture
from outrider.engines.commands.surroundings import Surroundings

Params = TypeVar("Params", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment(Generic[Params]):
    """What is to be done (`params`, already checked), where its output goes, and what may be used."""

    command_id: CommandId
    params: Params
    capture: Capture
    surroundings: Surroundings
