"""The words of the program, each with the file that holds it. Nothing is loaded until its word is said."""

from typing import Final, NamedTuple


class Word(NamedTuple):
    """One word: the module whose `command()` makes it, and its line in the help."""

    name: str
    module: str
    summary: str


WORDS: Final[tuple[Word, ...]] = (
    Word("up", "outrider.cli.up", "Run a center and an agent on this machine."),
    Word("login", "outrider.cli.login", "Sign in to a center."),
    Word("logout", "outrider.cli.logout", "Sign out of a center."),
    Word("agents", "outrider.cli.agents", "List agents; show or delete one."),
    Word("approve", "outrider.cli.approve", "Let pending agents in."),
    Word("decline", "outrider.cli.decline", "Turn agents away."),
    Word("tag", "outrider.cli.tag", "Add and remove an agent's tags."),
    Word("exec", "outrider.cli.exec", "Run a shell line on a host and see its output live."),
    Word("commands", "outrider.cli.commands", "List a host's commands; show or follow one."),
    Word("cancel", "outrider.cli.cancel", "Cancel a command."),
    Word("keys", "outrider.cli.keys", "Make, list and revoke enrolment keys."),
    Word("version", "outrider.cli.version", "Say which version this is."),
)

DAEMONS: Final[tuple[Word, ...]] = (
    Word("center", "outrider.center.app", "Run the control center."),
    Word("agent", "outrider.agent.app", "Run the agent of this host."),
)
