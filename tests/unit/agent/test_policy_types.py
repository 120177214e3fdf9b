"""The policy knows every command type."""

import os
from pathlib import Path

import pytest

from outrider.agent.policy import PolicyFile
from outrider.domain.command_types import REGISTRY


@pytest.mark.parametrize("kind", sorted(REGISTRY))
def test_each_type_can_be_forbidden(tmp_path: Path, kind: str) -> None:
    """By its name; then it is refused with the file's name, is no ability, and the others stay."""
    path = tmp_path / "policy.toml"
    path.write_text(f'forbid = ["{kind}"]')
    policy = PolicyFile(path, owner=os.geteuid()).current()
    assert str(path) in policy.refusal(kind, {}, "root")
    assert kind not in policy.abilities
    assert set(policy.abilities) >= set(REGISTRY) - {kind}
