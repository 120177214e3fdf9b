"""SSH, by asyncssh: dialling a host, its key, signing in, and programs there. Nothing else imports asyncssh.

What comes from a host is bounded here, whatever it sends: the time each part may take, what is kept of its
output, and how far it may run ahead of us.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Self

import asyncssh

from outrider.center.deploy.contact import ConnectionLost, Credentials, HostKeyMismatch, Patience
from outrider.center.deploy.output import KeptOutput
from outrider.domain.deployments import DeployFailed, SshDenied, SshKeyUnusable
from outrider.domain.host_keys import HostKey
from outrider.kit.clock import Clock
from outrider.kit.printable import escape
from outrider.kit.worker import Worker

logging.getLogger("asyncssh").setLevel(logging.ERROR)

_OPEN_KEY_WITHIN: Final = 20.0
_CLOSE_WITHIN: Final = 5.0
_WINDOW: Final = 256 * 1024
_MOST_WAITING: Final = 256
_LONGEST_REASON: Final = 300
_LONGEST_LINE: Final = 64 * 1024
_MOST_OUTPUT: Final = 1024 * 1024
_KEEPALIVE: Final = 15.0
_STDERR: Final = 1

PrivateKey = asyncssh.SSHKey
Refuse = Callable[[HostKey], str]
"""Says why a host's key is refused; empty when it is admitted."""


async def open_key(text: str, passphrase: str | None, clock: Clock) -> PrivateKey:
    """Read a private key. Raises SshKeyUnusable, which says nothing of what is in the text.

    In a thread of its own: a passphrase is made slow to try, and the file says how slow.
    """
    async with Worker("ssh key") as worker:
        try:
            return await clock.wait_for(
                worker.call(lambda: asyncssh.import_private_key(text, passphrase)), _OPEN_KEY_WITHIN
            )
        except TimeoutError:
            raise SshKeyUnusable("The private key takes too long to be opened.", field="ssh_key") from None
        except asyncssh.KeyEncryptionError:
            raise SshKeyUnusable(
                "The passphrase is not the one of the private key.", field="ssh_passphrase"
            ) from None
        except (asyncssh.KeyImportError, ValueError, TypeError):
            missing = "" if passphrase else " If it has a passphrase, give that, too."
            raise SshKeyUnusable(
                f"The private key can't be read: it is none, or of a kind that is not known.{missing}",
                field="ssh_key",
            ) from None


class _Client(asyncssh.SSHClient):
    """Answers what asyncssh asks while it connects."""

    def __init__(
        self,
        credentials: Credentials,
        refuse: Refuse,
        admitted: Callable[[HostKey], Awaitable[None]],
        limit: asyncio.Timeout,
        authenticate: float,
    ) -> None:
        self._credentials = credentials
        self._refuse = refuse
        self._admitted = admitted
        self._limit = limit
        self._authenticate = authenticate
        self._key: HostKey | None = None
        self._is_known = False
        self._keys: list[Any] | None = None
        self._passwords = [credentials.password] if credentials.password else []
        self._agent: asyncssh.SSHAgentClient | None = None
        self.refused = ""
        self.is_authenticating = False
        self.banner = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Admit the host's key, or remember why not."""
        self._key = HostKey(key.public_data)
        self.refused = self._refuse(self._key)
        return not self.refused

    def begin_auth(self, username: str) -> None:
        """Give signing in its own time."""
        self.is_authenticating = True
        self._limit.reschedule(asyncio.get_running_loop().time() + self._authenticate)

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """Keep the begin of what the host says before it lets anybody in."""
        self.banner = (self.banner + msg)[:2000]

    async def _remember(self) -> None:
        """Have the host's key remembered before it is told any secret."""
        if self._key is not None and not self._is_known:
            self._is_known = True
            await self._admitted(self._key)

    async def public_key_auth_requested(self) -> Any:
        """Give all keys, once."""
        await self._remember()
        if self._keys is not None:
            return None
        self._keys = list(self._credentials.keys)
        if self._credentials.agent:
            self._keys += await self._from_agent(self._credentials.agent)
        return self._keys or None

    async def _from_agent(self, path: str) -> Sequence[Any]:
        try:
            self._agent = await asyncssh.connect_agent(path)
            return await self._agent.get_keys()
        except (OSError, ValueError, asyncssh.Error) as error:
            self.banner += f"The center's SSH agent can't be asked: {error}\n"
            return ()

    async def password_auth_requested(self) -> str | None:
        """Give the password, once."""
        await self._remember()
        return self._passwords.pop() if self._passwords else None

    async def kbdint_auth_requested(self) -> str | None:
        """Answer questions where a password was given."""
        await self._remember()
        return "" if self._passwords else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Any
    ) -> Sequence[str] | None:
        """Answer the one question for a password; any other is not ours to answer."""
        if not prompts:
            return []
        if len(prompts) == 1 and "password" in str(prompts[0][0]).lower() and self._passwords:
            return [self._passwords.pop()]
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the agent."""
        if self._agent is not None:
            self._agent.close()


class Connection:
    """A signed-in connection to a host."""

    def __init__(self, conn: asyncssh.SSHClientConnection, clock: Clock, patience: Patience) -> None:
        self._conn = conn
        self._clock = clock
        self._patience = patience

    @classmethod
    async def dial(  # noqa: PLR0913 - each says one thing of whom to reach, and how
        cls,
        host: str,
        port: int,
        user: str,
        credentials: Credentials,
        *,
        algorithms: Sequence[str],
        refuse: Refuse,
        admitted: Callable[[HostKey], Awaitable[None]],
        on_authenticate: Callable[[], None],
        tunnel: Connection | None,
        clock: Clock,
        patience: Patience,
    ) -> Self:
        """Connect, hold the host's key against what is known of it, and sign in.

        `algorithms` are those of the keys that are known: they are asked for first. `refuse` judges the key;
        `admitted` is awaited before anything secret is said; `on_authenticate` is called between the two.
        Raises DeployFailed, SshDenied, or HostKeyMismatch with what `refuse` has said.
        """
        clients: list[_Client] = []
        try:
            async with asyncio.timeout(patience.connect) as limit:

                def make() -> _Client:
                    client = _Watched(
                        credentials, refuse, admitted, limit, patience.authenticate, on_authenticate
                    )
                    clients.append(client)
                    return client

                conn, _ = await asyncssh.create_connection(
                    make,
                    host,
                    port,
                    username=user,
                    tunnel=tunnel._conn if tunnel else (),  # noqa: SLF001 - of the same class
                    **_options(algorithms),
                )
        except (OSError, asyncssh.Error, ValueError) as error:
            raise _why(error, clients[-1] if clients else None, user, credentials) from error
        return cls(conn, clock, patience)

    async def start(self, command: str, *, prompt: bytes = b"") -> Program:
        """Start a program there. `command` is a constant of ours: the user's shell reads it.

        A `prompt` on its stderr is given like a line of its own. Raises DeployFailed.
        """
        program = Program(self._clock, self._patience, prompt)
        try:
            async with asyncio.timeout(self._patience.begin):
                await self._conn.create_session(
                    lambda: program.session, command, encoding=None, window=_WINDOW, request_pty=False
                )
        except (OSError, asyncssh.Error) as error:
            raise DeployFailed(f"No program can be started on the host: {_plainly(error)}.") from error
        return program

    @property
    def local_address(self) -> str:
        """Our own address, as the host sees it; empty behind a jump host."""
        name: Any = self._conn.get_extra_info("sockname")
        return str(name[0]) if name else ""

    async def close(self) -> None:
        """Hang up; a host that does not answer is left."""
        self._conn.close()
        try:
            await self._clock.wait_for(self._conn.wait_closed(), _CLOSE_WITHIN)
        except TimeoutError:
            self._conn.abort()
            await self._conn.wait_closed()


class _Watched(_Client):
    def __init__(self, *parts: Any) -> None:
        *others, on_authenticate = parts
        super().__init__(*others)
        self._on_authenticate: Callable[[], None] = on_authenticate

    def begin_auth(self, username: str) -> None:
        super().begin_auth(username)
        self._on_authenticate()


def _options(algorithms: Sequence[str]) -> dict[str, Any]:
    """Say how to connect: nothing of this machine's own configuration counts, and nothing is forwarded."""
    return {
        "config": None,
        # Not empty, which would mean the file of the center's user: ours alone decides.
        "known_hosts": lambda *_: ([], [], []),
        "server_host_key_algs": _preferring(algorithms),
        "client_keys": None,
        "agent_path": None,
        "gss_host": None,
        "x509_trusted_certs": None,
        "compression_algs": ["none"],
        "preferred_auth": ["publickey", "keyboard-interactive", "password"],
        "disable_trivial_auth": True,
        "login_timeout": 0,
        "keepalive_interval": _KEEPALIVE,
        "keepalive_count_max": 4,
    }


_HOST_KEY_ALGORITHMS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_RSA: Final = "ssh-rsa"


def _preferring(algorithms: Sequence[str]) -> list[str]:
    """Put first what a known key signs with: of a host's several keys, the one that is known is to show."""
    known = [
        each
        for each in _HOST_KEY_ALGORITHMS
        if each in algorithms or (_RSA in algorithms and each.startswith("rsa-"))
    ]
    return [*known, *(each for each in _HOST_KEY_ALGORITHMS if each not in known)]


def _why(error: Exception, client: _Client | None, user: str, credentials: Credentials) -> Exception:
    """Say in words of ours why there is no connection."""
    if client is not None and client.refused:
        return HostKeyMismatch(client.refused)
    said = client.banner if client is not None else ""
    if isinstance(error, asyncssh.PermissionDenied):
        means = [
            *(["the key"] if credentials.keys else []),
            *(["the center's SSH agent"] if credentials.agent else []),
            *(["the password"] if credentials.password else []),
        ]
        return SshDenied(
            f"The host does not let {user} in with {' or '.join(means)}.", output=KeptOutput.of(said)
        )
    if client is not None and client.is_authenticating:
        if isinstance(error, TimeoutError):
            return DeployFailed("The host does not answer while we sign in.", output=KeptOutput.of(said))
        return DeployFailed(f"Signing in failed: {_plainly(error)}.", output=KeptOutput.of(said))
    return DeployFailed(_why_not_there(error, has_answered=client is not None))


def _why_not_there(error: Exception, *, has_answered: bool) -> str:
    if isinstance(error, asyncssh.ChannelOpenError):
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return "The jump host does not pass connections on: see AllowTcpForwarding and PermitOpen there."
        return f"The jump host reaches no SSH server at the host: {_plainly(error)}."
    if isinstance(error, TimeoutError):
        where = "It took the connection, and then said nothing" if has_answered else "Nothing answers"
        return f"{where}: is an SSH server there, and does a firewall let us pass?"
    return f"No connection to the host's SSH server: {_plainly(error)}."


def _plainly(error: Exception) -> str:
    """Tell an error in one printable line; parts of it may be the host's own words."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        # asyncio puts the address it tried where the reason should stand.
        return os.strerror(error.errno).lower()
    text = error.reason if isinstance(error, asyncssh.DisconnectError | asyncssh.ChannelOpenError) else ""
    return escape((text or str(error) or type(error).__name__)[:_LONGEST_REASON]).rstrip(".")


class _Session(asyncssh.SSHClientSession[bytes]):
    """Hands what a program says to its `Program`."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._program.opened(chan)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._program.received(data, is_stderr=datatype == _STDERR)

    def pause_writing(self) -> None:
        self._program.writable.clear()

    def resume_writing(self) -> None:
        self._program.writable.set()

    def exit_status_received(self, status: int) -> None:
        self._program.exit_code = status

    def connection_lost(self, exc: Exception | None) -> None:
        self._program.ended(exc)


class Program:
    """A program on a host: what it says line by line, what it is told."""

    def __init__(self, clock: Clock, patience: Patience, prompt: bytes) -> None:
        self.session = _Session(self)
        self.writable = asyncio.Event()
        self.writable.set()
        #: Its exit code once it has ended; None when the connection was lost first, or a signal ended it.
        self.exit_code: int | None = None
        #: What it said that was no line for us.
        self.output = KeptOutput()
        self._clock = clock
        self._patience = patience
        self._chan: asyncssh.SSHClientChannel[bytes] | None = None
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._prompt = prompt
        self._line = b""
        self._errors = b""
        self._received = 0
        self._is_paused = False
        self._has_ended = False
        self._is_flooding = False

    # --- what the session calls

    def opened(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Take the channel."""
        self._chan = chan
        chan.set_write_buffer_limits(high=_WINDOW)

    def received(self, data: bytes, *, is_stderr: bool) -> None:
        """Take what it said; one that never ceases is cut off."""
        self._received += len(data)
        if self._received > _MOST_OUTPUT:
            self._is_flooding = True
            self.abort()
            return
        if is_stderr:
            self._take_error(data)
            return
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._lines.put_nowait(line)
        if len(self._line) > _LONGEST_LINE:
            self.output.add(self._line)
            self._line = b""
        if self._lines.qsize() > _MOST_WAITING and self._chan is not None:
            self._is_paused = True
            self._chan.pause_reading()

    def _take_error(self, data: bytes) -> None:
        if not self._prompt:
            self.output.add(data)
            return
        self._errors += data
        if self._prompt in self._errors:
            before, _, self._errors = self._errors.partition(self._prompt)
            self.output.add(before)
            self._lines.put_nowait(self._prompt)
        elif len(self._errors) > _LONGEST_LINE:
            self.output.add(self._errors)
            self._errors = b""

    def ended(self, _: Exception | None) -> None:
        """Tell that nothing more comes."""
        self._has_ended = True
        self.writable.set()
        self.output.add(self._errors + self._line)
        self._errors = self._line = b""
        self._lines.put_nowait(None)

    # --- what we do with it

    async def line(self, seconds: float) -> bytes | None:
        """Return its next line; None when it has ended. Raises TimeoutError, and DeployFailed of a flood."""
        line = await self._clock.wait_for(self._lines.get(), seconds)
        if self._is_paused and self._chan is not None and self._lines.qsize() < _MOST_WAITING // 2:
            self._is_paused = False
            self._chan.resume_reading()
        if line is None:
            # Whoever asks again hears the same.
            self._lines.put_nowait(None)
            if self._is_flooding:
                raise DeployFailed("The host says more than can be of any use: it was cut off.")
        return line

    async def write(self, data: bytes) -> None:
        """Say something; returns once the connection takes more. Raises ConnectionLost, TimeoutError."""
        if self._has_ended or self._chan is None:
            raise ConnectionLost
        try:
            self._chan.write(data)
        except (OSError, asyncssh.Error) as error:
            raise ConnectionLost from error
        if not self.writable.is_set():
            await self._clock.wait_for(self.writable.wait(), self._patience.stalled)
        if self._has_ended:
            raise ConnectionLost

    def close_input(self) -> None:
        """Let it read an end of file."""
        if self._chan is not None and not self._has_ended:
            with suppress(OSError, asyncssh.Error):
                self._chan.write_eof()

    def abort(self) -> None:
        """Drop the channel; what runs there sees its end of file."""
        if self._chan is not None:
            self._chan.abort()
