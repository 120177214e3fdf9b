"""The stream of a terminal: what it shows goes out, what is typed comes in."""

from typing import Final

import msgspec

from outrider.agent.policy import PolicyFile
from outrider.agent.terminals import Terminal, Terminals, View
from outrider.domain.errors import Forbidden, LinkFault, OutriderError
from outrider.domain.terminals import Ending
from outrider.engines.terminal.start import TerminalSpec
from outrider.kit import logs
from outrider.kit.tasks import Tasks
from outrider.protocol.open_stream import OpenStream
from outrider.protocol.terminal_stream import (
    WINDOW,
    Attached,
    AttachTerminal,
    EndTerminal,
    FromPerson,
    HangUp,
    OpenTerminal,
    Over,
    Request,
    Resize,
)

log = logs.get(__name__)

_requests: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
_told: Final[msgspec.msgpack.Decoder[FromPerson]] = msgspec.msgpack.Decoder(FromPerson)
_ENDED: Final = "It was ended from the center."


class TerminalStream:
    """Opens terminals and shows them; a kind of stream."""

    ability = "terminal"
    window = WINDOW

    def __init__(self, terminals: Terminals, policy: PolicyFile, *, runs_as: str) -> None:
        """`runs_as` is the user of terminals that name none."""
        self._terminals = terminals
        self._policy = policy
        self._runs_as = runs_as

    async def serve(self, request: msgspec.Raw, stream: OpenStream) -> None:
        """Show a terminal until it ends, or the stream does; without a word of its end it lives on."""
        try:
            asked = _requests.decode(request)
        except msgspec.DecodeError as error:
            raise LinkFault(f"What is asked of the terminal does not fit: {error}.") from None
        match asked:
            case OpenTerminal():
                await self._show(await self._open(asked), None, stream)
            case AttachTerminal():
                terminal = self._terminals.find(asked.terminal_id)
                terminal.pty.resize(asked.columns, asked.rows)
                await self._show(terminal, asked.seen, stream)
            case EndTerminal():
                terminal = self._terminals.find(asked.terminal_id)
                terminal.hang_up(_ENDED)
                await stream.say(Over(ending=Ending(reason=_ENDED)))
                # Its place is free when its processes have ended: nobody comes back to what the center ended.
                terminal.was_told()

    async def _open(self, asked: OpenTerminal) -> Terminal:
        refusal = self._policy.current().refusal("terminal", {"user": asked.user}, self._runs_as)
        if refusal:
            raise Forbidden(refusal)
        terminal = await self._terminals.open(
            TerminalSpec(
                terminal_id=asked.terminal_id,
                columns=asked.columns,
                rows=asked.rows,
                term=asked.term,
                user=asked.user,
                command=asked.command,
            )
        )
        log.info("terminal opened", terminal=terminal.id, user=terminal.pty.account)
        return terminal

    async def _show(self, terminal: Terminal, seen: int | None, stream: OpenStream) -> None:
        if refusal := self._bar(terminal):
            raise Forbidden(refusal)
        view = terminal.look(seen, stream.fail)
        try:
            await stream.say(Attached(offset=view.position, lost=view.lost, account=terminal.pty.account))
            async with Tasks(f"terminal {terminal.id}") as tasks:
                tasks.spawn("typing", _type(terminal, stream))
                await _show(terminal, view, stream)
        finally:
            terminal.left(view)
            # It may have been left for that: the policy has changed.
            _ = self._bar(terminal)

    def _bar(self, terminal: Terminal) -> str:
        """End a terminal that the policy does not allow (any more), and return why; else an empty text."""
        user = {"user": terminal.pty.account}
        refusal = self._policy.current().refusal("terminal", user, self._runs_as)
        if refusal:
            terminal.hang_up(refusal)
        return refusal


async def _show(terminal: Terminal, view: View, stream: OpenStream) -> None:
    while True:
        found = await view.next()
        if isinstance(found, Ending):
            await stream.say(Over(ending=found))
            terminal.was_told()
            return
        await stream.send(found)
        view.took(found)


async def _type(terminal: Terminal, stream: OpenStream) -> None:
    try:
        while (said := await stream.receive()) is not None:
            if isinstance(said, msgspec.Raw):
                _heed(terminal, said)
            else:
                await terminal.pty.write(said)
    except LinkFault as fault:
        stream.fail(fault)
    except OutriderError as error:
        log.debug("a terminal's stream was lost", terminal=terminal.id, reason=error.detail)


def _heed(terminal: Terminal, said: msgspec.Raw) -> None:
    try:
        told = _told.decode(said)
    except msgspec.DecodeError as error:
        raise LinkFault(f"What is said of the terminal does not fit: {error}.") from None
    match told:
        case Resize(columns=columns, rows=rows):
            terminal.pty.resize(columns, rows)
        case HangUp(reason=reason):
            terminal.hang_up(reason or "Its person has left it.")
