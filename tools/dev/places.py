"""Where things are in the tree."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
VENV: Final = ROOT / ".venv"
PROGRAMS: Final = VENV / "bin"
REQUIREMENTS: Final = ROOT / "requirements"
EVERYTHING_LOCKED: Final = REQUIREMENTS / "dev.txt"
AGENT_PINS: Final = ROOT / "src" / "outrider" / "center" / "bundles" / "agent_pins.txt"
"""The copy of requirements/agent.txt that ships inside the package."""
PROJECT: Final = ROOT / "pyproject.toml"
HOME: Final = ROOT / ".outrider"
BENCH: Final = ROOT / "bench"
