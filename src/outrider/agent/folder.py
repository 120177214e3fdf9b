"""The agent's own folder: what lies in it, and the lock that one daemon holds on it."""

import fcntl
import os
from pathlib import Path

from outrider.domain.errors import Conflict


class AgentFolder:
    """Names every file the agent keeps, so that no other module spells a path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = path / "spool.sqlite"
        self.captures = path / "captures"
        self.scratch = path / "scratch"
        self.enrolment = path / "enrolment.json"
        self.minutes = path / "minutes"
        self.center_ca = path / "center-ca.pem"
        self.configuration = path / "configuration.json"
        self.edge_key = path / "local-api"
        self.contact = path / "contact.json"
        self.profile = path / "profile.json"
        self.tags = path / "tags.json"
        self.microservices = path / "microservices.json"
        self.standing = path / "standing.json"
        self.terminals = path / "terminals"
        self.unfinished = path / "unfinished"
        self.lock = path / "lock"

    def make(self) -> None:
        """Make what is missing, open to the owner alone. Raises OSError."""
        for folder in (self.path, self.captures, self.scratch):
            # The output may be kept elsewhere, on a disk that is not there just now.
            if not folder.is_symlink():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)


class FolderInUse(Conflict):
    """Another daemon runs in this folder."""

    code = "folder_in_use"


class FolderLock:
    """Held by the one daemon of a folder for as long as its process lives, also across a restart in place."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, folder: AgentFolder) -> "FolderLock":
        """Take the lock. Raises FolderInUse, which names the process that holds it, or OSError."""
        descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "another process"
            os.close(descriptor)
            raise FolderInUse(
                f"An agent runs in {folder.path} already (pid {holder}). Stop it first, or give this one "
                "a folder of its own with OUTRIDER_HOME.",
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        lock = cls(descriptor)
        lock.sign()
        return lock

    def sign(self) -> None:
        """Write this process's id into the lock file, for whoever finds it taken."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let the folder go."""
        os.close(self.descriptor)
