"""Where Outrider keeps its data when it is told nowhere."""

import os
from pathlib import Path
from typing import Final

AGENT: Final = "agent"
"""The agent's folder inside the data folder."""


def default_data_folder() -> Path:
    """Return the data folder: the system's for root, the user's own for others."""
    return Path("/var/lib/outrider") if os.geteuid() == 0 else Path.home() / ".local" / "share" / "outrider"
