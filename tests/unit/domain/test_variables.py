"""The list of all `OUTRIDER_*` variables, held to the settings that read them."""

from outrider.agent.settings import AgentSettings
from outrider.center.settings import CenterSettings
from outrider.domain import variables
from outrider.kit import config

OTHERS = {
    "OUTRIDER_ANNOUNCE_FD": "tells a launched program where to say that it is ready",
    "OUTRIDER_CENTER": "names the saved center the CLI speaks to",
    "OUTRIDER_CENTER_SOCKET": "tells the program that fetches versions where the agent leads to the center",
    "OUTRIDER_COMMAND_ID": "tells a command's process which command it is",
    "OUTRIDER_CONFIG": "names the settings file",
    "OUTRIDER_DEBUG": "makes the CLI show where an error came from",
    "OUTRIDER_PARENT_FD": "tells a launched program that its launcher lives",
    "OUTRIDER_PREFIX": "tells an agent from its launcher that it is installed, and where",
    "OUTRIDER_RESTART_FD": "hands the state of a program over to its successor in place",
    "OUTRIDER_PEER_LISTEN": "promised by the interface contract, read by a later part of the agent",
}


def test_the_list_is_the_settings_and_the_known_others() -> None:
    """A setting that is added, or a variable nobody reads any more, fails here."""
    read = config.variables(AgentSettings) | config.variables(CenterSettings)
    assert read | OTHERS.keys() == variables.ALL


def test_nothing_is_listed_as_other_that_is_a_setting() -> None:
    """Once a part reads its variable as a setting, it leaves the list of others."""
    assert not OTHERS.keys() & (config.variables(AgentSettings) | config.variables(CenterSettings))
