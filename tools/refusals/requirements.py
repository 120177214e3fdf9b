"""The lock and what pyproject.toml asks for must agree."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.refusals.tree import Refusal

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


def unlocked(root: Path) -> Iterator[Refusal]:
    """Give each requirement of the project that its lock does not carry in a version that fits."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    for name, wanted in _wanted(project).items():
        place = PurePosixPath("requirements", name)
        pins = {canonicalize_name(pin): version for pin, version in _PIN.findall((root / place).read_text())}
        for text in wanted:
            requirement = Requirement(text)
            version = pins.get(canonicalize_name(requirement.name))
            if version is None or version not in requirement.specifier:
                yield Refusal(place, 0, f"does not carry `{text}`; run `./dev lock`")


def _wanted(project: dict[str, Any]) -> dict[str, list[str]]:
    agent = project["project"]["dependencies"]
    center = agent + project["project"]["optional-dependencies"]["center"]
    everything = center + project["dependency-groups"]["dev"]
    return {"agent.txt": agent, "center.txt": center, "dev.txt": everything}
