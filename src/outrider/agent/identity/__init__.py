"""A host's identity: its key pair, made once at the agent's first start.

Files in the agent's folder: `identity.key` (0600), `identity.pem` (a certificate for the same key, shown to
peers) and `identity.json` (what the agent says about itself), written last.

The daemon never loads the cryptography library: a short-lived child, `python -m outrider.agent.identity`,
makes the key pair and signs with it.
"""

import asyncio
import base64
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from outrider.domain.enrolment import device_id_hex, device_id_of_der
from outrider.domain.errors import OutriderError
from outrider.kit.files import FileTooLarge, read_bounded

_PROGRAM: Sequence[str] = (sys.executable, "-P", "-m", "outrider.agent.identity")
_CHILD_SECONDS = 60.0
_MAX_FILE = 64 * 1024
_MAX_COMPLAINT = 2000


class IdentityBroken(OutriderError):
    """The host's identity can't be read or made. The detail says which file and what to do."""

    code = "identity_broken"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a host says about itself; holds no secret."""

    device_id: str
    """Base32 without padding of SHA-256 of the public key's SPKI DER."""
    device_id_hex: str
    """The same in hexadecimal."""
    public_key: str
    """Base64 of the public key's SPKI DER."""


async def load_or_make(folder: Path) -> Identity:
    """The host's identity from this folder, made by a child process when there is none.

    Raises IdentityBroken when what is there is damaged: a host never gets a new identity by accident.
    """
    identity = await asyncio.to_thread(load, folder)
    if identity is None:
        await _run_child([str(folder)], b"")
        identity = await asyncio.to_thread(load, folder)
    if identity is None:
        raise IdentityBroken(f"no identity was made in {folder}")
    return identity


async def sign(folder: Path, data: bytes) -> bytes:
    """Sign with the host's key (ECDSA with SHA-256, DER), in a child process. Raises IdentityBroken."""
    answer = await _run_child(["sign", str(folder)], data)
    return base64.b64decode(answer)


def load(folder: Path) -> Identity | None:
    """The identity in this folder, None when none was ever made. Blocks on files. Raises IdentityBroken."""
    path = folder / "identity.json"
    try:
        identity = msgspec.json.decode(read_bounded(path, _MAX_FILE), type=Identity)
        der = base64.b64decode(identity.public_key, validate=True)
    except FileNotFoundError:
        return None
    except (OSError, FileTooLarge, ValueError) as error:
        raise IdentityBroken(f"can't read {path}: {error}. {_REMEDY}") from error
    device_id = device_id_of_der(der)
    if identity.device_id != device_id or identity.device_id_hex != device_id_hex(device_id):
        raise IdentityBroken(f"{path} contradicts itself: its device id belongs to another key. {_REMEDY}")
    if not (folder / "identity.key").exists():
        raise IdentityBroken(f"{folder / 'identity.key'} is missing. {_REMEDY}")
    return identity


_REMEDY = (
    "Put the identity files back from a backup, or remove identity.json to make a new identity "
    "(this host must then be enrolled again)"
)


async def _run_child(arguments: Sequence[str], data: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *_PROGRAM,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_CHILD_SECONDS):
            answer, complaint = await process.communicate(data)
    except TimeoutError:
        raise IdentityBroken(f"the identity program gave no answer in {_CHILD_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise IdentityBroken(complaint[-_MAX_COMPLAINT:].decode(errors="replace").strip())
    return answer
