"""The policy file: what it forbids, and what it takes to be believed."""

import os
from pathlib import Path

import pytest

from outrider.agent.policy import STREAMED, PolicyFile
from outrider.domain.command_types import REGISTRY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The place of a policy file that is not there yet."""
    return tmp_path / "policy.toml"


def _policy(path: Path, text: str) -> PolicyFile:
    path.write_text(text)
    return PolicyFile(path, owner=os.geteuid())


def test_without_a_file_everything_is_allowed(path: Path) -> None:
    """No file means no rule beyond the center's."""
    policy = PolicyFile(path).current()
    assert policy.refusal("shell", {}, "root") == ""
    assert policy.abilities == (*sorted(REGISTRY), *STREAMED)


def test_a_forbidden_type_is_refused_by_name(path: Path) -> None:
    """What is forbidden is refused, names the file and is no ability; the rest stays allowed."""
    policy = _policy(path, 'forbid = ["shell", "terminal"]').current()
    assert str(path) in policy.refusal("shell", {}, "root")
    assert policy.refusal("ping", {}, "root") == ""
    assert "shell" not in policy.abilities


def test_users_are_limited(path: Path) -> None:
    """Commands run only as the users named, also when they name none themselves."""
    policy = _policy(path, 'users = ["backup"]\nmax_parallel = 2').current()
    assert policy.refusal("shell", {"user": "backup"}, "root") == ""
    assert "not as root" in policy.refusal("shell", {}, "root")
    assert policy.max_parallel == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("forbid = [", "not TOML"),
        ('forbidd = ["shell"]', "did you mean 'forbid'"),
        ('forbid = ["shel"]', "did you mean 'shell'"),
        ("max_parallel = 0", "is wrong"),
        ("\udcff", "not TOML"),
    ],
)
def test_a_file_that_is_wrong_forbids_everything(path: Path, text: str, said: str) -> None:
    """A mistake in the file never widens what is allowed, and is explained."""
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    policy = PolicyFile(path, owner=os.geteuid()).current()
    assert said in policy.refusal("ping", {}, "root")
    assert policy.abilities == ()


def test_a_file_that_others_can_write_forbids_everything(path: Path) -> None:
    """A file that somebody else could have written is not believed, whatever it says."""
    policy_file = _policy(path, "forbid = []")
    path.chmod(0o666)
    assert "chmod go-w" in policy_file.current().refusal("ping", {}, "root")


def test_a_file_of_another_owner_forbids_everything(path: Path) -> None:
    """The file must be root's."""
    path.write_text("forbid = []")
    assert "belongs to user" in PolicyFile(path, owner=os.geteuid() + 1).current().refusal("ping", {}, "root")


def test_a_change_counts_at_once(path: Path) -> None:
    """The file is read again when it has changed, put right, or removed."""
    policy_file = _policy(path, 'forbid = ["ping"]')
    assert policy_file.current().refusal("ping", {}, "root")
    path.write_text("nonsense")
    assert policy_file.current().fault
    path.write_text('forbid = ["shell"]')
    assert policy_file.current().refusal("ping", {}, "root") == ""
    path.unlink()
    assert policy_file.current().refusal("shell", {}, "root") == ""
