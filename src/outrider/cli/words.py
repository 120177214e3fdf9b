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
    Word("centers", "outrider.cli.saved", "List, rename and forget saved centers; choose the default."),
    Word("agents", "outrider.cli.agents", "List agents; show, update or delete some."),
    Word("approve", "outrider.cli.approve", "Let pending agents in."),
    Word("decline", "outrider.cli.decline", "Turn agents away."),
    Word("tag", "outrider.cli.tag", "Add and remove an agent's tags."),
    Word("groups", "outrider.cli.groups", "Sets of agents, sorted by rules or by hand."),
    Word("profiles", "outrider.cli.profiles", "Settings that agents get from their groups."),
    Word("microservices", "outrider.cli.microservices", "Configurations of hosts' containers."),
    Word("targets", "outrider.cli.targets", "Show whom a target expression means."),
    Word("exec", "outrider.cli.exec", "Run a shell line on one host or on many, and see its output live."),
    Word("shell", "outrider.cli.shell", "Open a terminal on a host."),
    Word("terminals", "outrider.cli.terminal_list", "List, end and replay terminals."),
    Word("logs", "outrider.cli.logs", "Read hosts' logs, and follow them."),
    Word("metrics", "outrider.cli.metrics", "Show hosts' figures, live or over time."),
    Word("cp", "outrider.cli.cp", "Copy files and folders to hosts, from hosts, and between them."),
    Word("mkdir", "outrider.cli.mkdir", "Make folders on hosts."),
    Word("mv", "outrider.cli.mv", "Move or rename a file or a folder on a host."),
    Word("rm", "outrider.cli.rm", "Delete files and folders on hosts."),
    Word("commands", "outrider.cli.commands", "List a host's commands; show or follow one."),
    Word("cancel", "outrider.cli.cancel", "Cancel a command."),
    Word(
        "dispatches", "outrider.cli.dispatches", "What was sent to many hosts: list, follow, cancel, retry."
    ),
    Word("schedules", "outrider.cli.schedules", "Dispatches that go out by themselves."),
    Word("alerts", "outrider.cli.alerts", "What fires; rules, channels, silences; what was told."),
    Word("deploy", "outrider.cli.deploy", "Bring the agent to hosts over SSH."),
    Word("deployments", "outrider.cli.deployments", "What was deployed: list, show, cancel."),
    Word("host-keys", "outrider.cli.host_keys", "SSH host keys the center knows: list, forget."),
    Word("keys", "outrider.cli.keys", "Make, list and revoke enrolment keys."),
    Word("users", "outrider.cli.users", "List and manage the people who may sign in."),
    Word("tokens", "outrider.cli.tokens", "Make, list and revoke API tokens."),
    Word("sessions", "outrider.cli.sessions", "List and end open sessions."),
    Word("password", "outrider.cli.password", "Change your own password."),
    Word("totp", "outrider.cli.totp", "Set up or give up a second factor."),
    Word("audit", "outrider.cli.audit", "Who changed what; verify and export the audit log."),
    Word("settings", "outrider.cli.settings", "How the center is set, and what differs from how it comes."),
    Word("agent", "outrider.cli.agent", "Ask and tell the agent of this host: pause it, set its tags."),
    Word("center", "outrider.cli.center", "Back up or restore the center on this machine; reset a password."),
    Word("completion", "outrider.cli.completion", "Print the completion script for bash, zsh or fish."),
    Word("version", "outrider.cli.version", "Say which version this is."),
)

DAEMONS: Final[tuple[Word, ...]] = (
    Word("center", "outrider.center.app", "Run the control center."),
    Word("agent", "outrider.agent.app", "Run the agent of this host."),
)
