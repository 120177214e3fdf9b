"""What is asked for: the body of a deployment (seed 002, and what its contract adds), checked."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from outrider.domain.host_keys import MOST_TEXT

# `$` alone would let a line end follow.
HostName = Annotated[
    str, Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_\[:][A-Za-z0-9_.:%\[\]-]*$(?!\n)")
]
Port = Annotated[int, Meta(ge=1, le=65535)]
UserName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
Secret = Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00\r\n]+$(?!\n)")]
KeyText = Annotated[str, Meta(min_length=1, max_length=64 * 1024)]
KeyPath = Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")]
HostKeyText = Annotated[str, Meta(min_length=1, max_length=MOST_TEXT)]


class SshBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How to reach an SSH server and sign in there; keys are tried before the password."""

    host: HostName
    ssh_user: UserName = "root"
    ssh_port: Port = 22
    #: A key file at the center.
    ssh_key: KeyPath | None = None
    #: The text of a private key.
    ssh_key_text: KeyText | None = None
    ssh_passphrase: Secret | None = None
    ssh_password: Secret | None = None
    #: Ask the SSH agent of the center's process.
    ssh_agent: bool = False
    #: Lines of known_hosts, public keys or SHA256: fingerprints, one a line: no other key is admitted.
    known_host: HostKeyText | None = None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"{type(self).__name__}(host={self.host!r}, ssh_user={self.ssh_user!r})"

    @property
    def has_credentials(self) -> bool:
        """Tell whether it says anything to sign in with."""
        return bool(self.ssh_key or self.ssh_key_text or self.ssh_password or self.ssh_agent)

    @property
    def means(self) -> list[str]:
        """Name what is signed in with, without the secrets: for the audit log."""
        named = (
            ("key file", self.ssh_key),
            ("key text", self.ssh_key_text),
            ("agent", self.ssh_agent),
            ("password", self.ssh_password),
        )
        return [name for name, value in named if value]


class DeployBody(SshBody, kw_only=True, forbid_unknown_fields=True):
    """A host to bring the agent to."""

    label: Annotated[str, Meta(max_length=200)] = ""
    tags: Annotated[list[str], Meta(max_length=64)] = []
    sudo_password: Secret | None = None
    #: The way to the host leads through this one; without credentials of its own the host's are used.
    jump: SshBody | None = None
    #: Take over an agent that was installed by hand.
    adopt: bool = False
    #: The center's address as the host reaches it.
    center_url: Annotated[str, Meta(max_length=500, pattern=r"^https?://[^\s/?#@]+/?$(?!\n)")] | None = None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"DeployBody(host={self.host!r}, ssh_user={self.ssh_user!r})"
