"""Looking at this host without a command: the readings of the types that only look, for whoever asks now.

Nothing of it is written down: not in the spool, not in a capture. Cancelling a look ends what it has started.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from outrider.domain.command_types import parse_params
from outrider.domain.errors import Conflict, UnknownType
from outrider.domain.ids import new_command_id
from outrider.engines.commands.listing import Listed
from outrider.engines.commands.steps import ANSWER_SECONDS, CannotDo, Steps, Stopped
from outrider.engines.commands.surroundings import Surroundings
from outrider.engines.commands.types import processes, services

LOOKS: Final[Mapping[str, Callable[[Any, Steps], Awaitable[Listed]]]] = {
    "processes": processes.look,
    "services": services.look,
}
"""The command types that can be asked without a command, each with what answers."""


async def look(kind: str, params: Mapping[str, Any], surroundings: Surroundings) -> Listed:
    """Look as the command type `kind` does.

    Raises UnknownType for a type that does more than look, BadParams, and Conflict, with the reason, where
    this host can't be looked at like that or does not answer in time.
    """
    if kind not in LOOKS:
        raise UnknownType(
            f"{kind[:80]!r} is nothing that can be looked at; {', '.join(LOOKS)} are.", type=kind[:80]
        )
    parsed = parse_params(kind, params)
    # Programs that it starts carry an id as those of a command do, so that ending them finds all of them.
    steps = Steps(new_command_id(surroundings.clock.time()), surroundings, ANSWER_SECONDS)
    try:
        return await LOOKS[kind](parsed, steps)
    except CannotDo as error:
        raise Conflict(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    except Stopped:
        raise Conflict(f"The host did not answer within {ANSWER_SECONDS:g} s.") from None
