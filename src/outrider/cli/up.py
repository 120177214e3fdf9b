"""`outrider up`: a center and an agent on one machine, as one program."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.child_program import STOP_SECONDS, ChildProgram
from outrider.cli.owner import require_center
from outrider.domain.errors import Invalid
from outrider.domain.places import default_data_folder
from outrider.kit import logs
from outrider.kit.clock import SystemClock
from outrider.kit.supervise import Supervisor, run_until_signalled

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.cli.machine_of_one import MachineOfOne

_PROGRAM: Final = (sys.executable, "-m", "outrider")


def command() -> App:
    """Make the command."""
    app = make_app("outrider up")
    app.default(up)
    return app


def up(
    *,
    home: Annotated[
        Path | None, Parameter(env_var="OUTRIDER_HOME", help="Data folder; the agent's is agent/ in it.")
    ] = None,
    listen: Annotated[str | None, Parameter(help="Plain HTTP address, such as 127.0.0.1:8080.")] = None,
    tls_listen: Annotated[str | None, Parameter(help="HTTPS address, such as 0.0.0.0:8443.")] = None,
    public_url: Annotated[
        str | None, Parameter(help="The address people and agents reach the center by.")
    ] = None,
) -> int:
    """Run a center and an agent on this machine.

    At the first start the address and the admin's password are printed, and this machine's agent joins its
    center. It is not joined again once it was deleted there. Ctrl-C stops both. Every other setting of the
    center and the agent can be given as an OUTRIDER_ variable.
    """
    require_center()
    from outrider.cli.machine_of_one import MachineOfOne

    folder = (home or default_data_folder()).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Invalid(f"The data folder {folder} can't be made: {error.strerror}.", field="home") from None
    options = {
        "OUTRIDER_LISTEN": listen,
        "OUTRIDER_TLS_LISTEN": tls_listen,
        "OUTRIDER_PUBLIC_URL": public_url,
    }
    given = {name: value for name, value in options.items() if value is not None}
    # What happens to the daemons is said in our own words; only what needs a person is logged.
    logs.configure("ERROR")
    return asyncio.run(_run(MachineOfOne(folder, {**os.environ, **given}, _say)))


async def _run(machine: MachineOfOne) -> int:
    clock = SystemClock()
    # Longer than a child may take, so that none is ever left behind.
    supervisor = Supervisor("up", clock=clock, stop_grace=STOP_SECONDS + 5)
    supervisor.add(
        ChildProgram(
            "center",
            (*_PROGRAM, "center"),
            environ=machine.center_environ,
            announced=machine.center_announced,
            say=_say,
            clock=clock,
            needed_at_start=True,
        ),
        essential=True,
    )
    supervisor.add(
        ChildProgram(
            "agent",
            (*_PROGRAM, "agent"),
            environ=machine.agent_environ,
            announced=machine.agent_announced,
            say=_say,
            clock=clock,
            needed_at_start=False,
        )
    )
    _say("outrider: starting; Ctrl-C stops")
    code = await run_until_signalled(supervisor)
    _say("outrider: stopped")
    return code


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
