"""What a command sees of its surroundings."""

from outrider.domain.ids import new_command_id
from outrider.engines.commands.accounts import Account
from outrider.engines.commands.environment import SEARCH_PATH, clean_environment

_ACCOUNT = Account(
    name="ann", uid=1000, gid=1000, groups=(1000,), home="/home/ann", login_shell="/bin/bash", switch=True
)
_ID = new_command_id(0)


def test_a_login_and_the_marker() -> None:
    """Without settings there are the variables of a login and the marker, and nothing else."""
    assert clean_environment(_ACCOUNT, {}, {}, _ID) == {
        "PATH": SEARCH_PATH,
        "HOME": "/home/ann",
        "LANG": "C.UTF-8",
        "USER": "ann",
        "LOGNAME": "ann",
        "SHELL": "/bin/bash",
        "OUTRIDER_COMMAND_ID": _ID,
    }


def test_later_sources_win_but_the_marker_stays() -> None:
    """The command's variables win over the host's settings; nobody can take the marker away."""
    environment = clean_environment(
        _ACCOUNT, {"LANG": "de_DE.UTF-8", "TZ": "UTC"}, {"TZ": "CET", "OUTRIDER_COMMAND_ID": "x"}, _ID
    )
    assert environment["LANG"] == "de_DE.UTF-8"
    assert environment["TZ"] == "CET"
    assert environment["OUTRIDER_COMMAND_ID"] == _ID
