"""`outrider deploy`: bring the agent to hosts over SSH."""

from __future__ import annotations

import base64
import binascii
import getpass
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson
from outrider.domain.errors import Invalid
from outrider.kit.files import FileTooLarge, read_bounded

_PLACE: Final = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<v6>[^\]\s]+)\]|(?P<host>[^:\s@]+|[0-9a-fA-F:%.\w]+:[^\s@]*:[^\s@]*))"
    r"(?::(?P<port>\d{1,5}))?"
)
_MOST_KEY: Final = 64 * 1024
_OPENSSH: Final = b"openssh-key-v1\0"
_NO_CIPHER: Final = b"\0\0\0\x04none"


@Parameter(name="*")
@dataclass(frozen=True)
class SignIn:
    """How the center signs in on the hosts."""

    user: Annotated[
        str, Parameter(name=["--user", "-u"], help="User there: root, or one who may use sudo.")
    ] = "root"
    port: Annotated[int, Parameter(name=["--port", "-p"], help="Port of their SSH server.")] = 22
    key: Annotated[
        Path | None, Parameter(name=["--key", "-i"], help="Private key, a file here; its text is sent.")
    ] = None
    center_key: Annotated[str | None, Parameter(help="Private key, a file at the center.")] = None
    ssh_agent: Annotated[bool, Parameter(negative="", help="Use the SSH agent of the center.")] = False
    ask_password: Annotated[bool, Parameter(negative="", help="Ask for the user's password.")] = False
    ask_sudo_password: Annotated[
        bool, Parameter(negative="", help="Ask for the password that sudo wants there.")
    ] = False
    jump: Annotated[str | None, Parameter(help="USER@HOST[:PORT] that the way leads through.")] = None
    accept_host_key: Annotated[
        list[str] | None, Parameter(help="Fingerprint (SHA256:...) or key a host must show; may be repeated.")
    ] = None


def command() -> App:
    """Make the command."""
    app = make_app("outrider deploy")
    app.default(deploy)
    return app


def deploy(  # noqa: PLR0913 - one for each thing that can be said
    host: Annotated[str, Parameter(help="[USER@]HOST[:PORT].")],
    /,
    *more: Annotated[str, Parameter(help="More of them.")],
    sign_in: SignIn = SignIn(),
    label: Annotated[
        list[str] | None,
        Parameter(help="Label: one a host, in their order, or one for all with {host} in it."),
    ] = None,
    tag: Annotated[list[str] | None, Parameter(help="Tag for the new agents; may be repeated.")] = None,
    adopt: Annotated[
        bool, Parameter(negative="", help="Take over agents that were installed by hand.")
    ] = False,
    center_url: Annotated[
        str | None, Parameter(help="The center's address as the hosts reach it; else the center knows.")
    ] = None,
    parallel: Annotated[int, Parameter(help="Hosts at a time.")] = 4,
    as_json: AsJson = False,
    where: Where | None = None,
) -> int:
    """Bring the agent to hosts over SSH: `outrider deploy root@10.0.0.5 -i ~/.ssh/id_ed25519`.

    The center signs in, becomes root (with sudo where the user is not), sends the agent, starts it and waits
    until it is online. Run twice it changes nothing. What fails is undone on the host. A host's key is
    trusted at first sight and remembered, unless --accept-host-key names it.

    It ends with 0 when all hosts are online, else with 1. Ctrl-C cancels what is under way.
    """
    from outrider.cli.deploying import Deploying, Errand
    from outrider.client import SshAccess

    if parallel < 1:
        raise Invalid("--parallel takes a number of hosts, at least 1.", field="parallel")
    hosts = (host, *more)
    labels = _labels(hosts, label or [])
    key_text = _read_key(sign_in.key) if sign_in.key else None
    shared = {
        "key_path": sign_in.center_key,
        "key_text": key_text,
        "agent": sign_in.ssh_agent,
        "known_host": "\n".join(sign_in.accept_host_key) if sign_in.accept_host_key else None,
        "passphrase": _secret("Passphrase of the key") if key_text and _is_locked(key_text) else None,
        "password": _secret(f"SSH password of {sign_in.user}") if sign_in.ask_password else None,
    }
    if not (sign_in.center_key or key_text or sign_in.ssh_agent or sign_in.ask_password):
        raise Invalid("Say how to sign in there: -i FILE, --ask-password, --center-key or --ssh-agent.")
    sudo_password = _secret("sudo password there") if sign_in.ask_sudo_password else None
    jump = None
    if sign_in.jump:
        user, name, port = parse_place(sign_in.jump, sign_in.user, 22)
        jump = SshAccess(host=name, user=user, port=port)
    errands = []
    for each, named in zip(hosts, labels, strict=True):
        user, name, port = parse_place(each, sign_in.user, sign_in.port)
        access = SshAccess(host=name, user=user, port=port, **shared)  # type: ignore[arg-type]  # each has its type
        errands.append(Errand(each, access, named))

    return ask(
        where,
        lambda center: Deploying(
            center,
            errands,
            tags=tag or [],
            sudo_password=sudo_password,
            jump=jump,
            adopt=adopt,
            center_url=center_url,
            parallel=parallel,
            as_json=as_json,
        ).run(),
    )


def parse_place(text: str, user: str, port: int) -> tuple[str, str, int]:
    """Read `[USER@]HOST[:PORT]`, with what is left out as given. Raises Invalid."""
    found = _PLACE.fullmatch(text)
    said = int(found["port"]) if found and found["port"] else port
    if found is None or not 1 <= said <= 65535:  # noqa: PLR2004 - the highest port
        raise Invalid(f"A host is written [USER@]HOST[:PORT], not {text[:80]!r}.", field="host")
    return found["user"] or user, found["v6"] or found["host"], said


def _labels(hosts: tuple[str, ...], given: list[str]) -> list[str]:
    if not given:
        return [""] * len(hosts)
    if len(given) == len(hosts):
        return given
    if len(given) == 1 and "{host}" in given[0]:
        return [given[0].replace("{host}", parse_place(each, "", 22)[1]) for each in hosts]
    raise Invalid(
        f"There are {len(hosts)} hosts: give as many --label, or one with {{host}} in it.", field="label"
    )


def _read_key(path: Path) -> str:
    try:
        text = read_bounded(path.expanduser(), _MOST_KEY).decode("ascii")
    except (OSError, FileTooLarge, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no private key"
        raise Invalid(f"{path}: {reason}.", field="key") from None
    if "PRIVATE KEY" not in text:
        raise Invalid(f"{path} is no private key: name the file without .pub.", field="key")
    return text


def _is_locked(text: str) -> bool:
    """Tell whether a private key has a passphrase."""
    if "ENCRYPTED" in text:
        return True
    body = "".join(line for line in text.splitlines() if not line.startswith("-----"))
    try:
        data = base64.b64decode(body)
    except binascii.Error:
        return False
    return data.startswith(_OPENSSH) and not data[len(_OPENSSH) :].startswith(_NO_CIPHER)


def _secret(question: str) -> str:
    """Ask for a secret; where nobody can be asked it is a line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{question}: ")
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Invalid(f"{question}: there is no terminal to ask on, and no line on standard input.")
    return line
