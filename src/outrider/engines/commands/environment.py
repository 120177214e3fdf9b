"""The environment of a command: clean, so that nothing of the agent's own leaks into it."""

from collections.abc import Mapping
from typing import Final

from outrider.domain.ids import CommandId
from outrider.engines.commands.accounts import Account
from outrider.engines.commands.processes import MARKER

SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def clean_environment(
    account: Account, base: Mapping[str, str], added: Mapping[str, str], command_id: CommandId
) -> dict[str, str]:
    """Return what the process sees: a login's variables, then `base` (the host's settings), then `added`.

    The marker comes last: it is how the agent finds its processes again.
    """
    return {
        "PATH": SEARCH_PATH,
        "HOME": account.home,
        "LANG": "C.UTF-8",
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": account.login_shell,
        **base,
        **added,
        MARKER: command_id,
    }
