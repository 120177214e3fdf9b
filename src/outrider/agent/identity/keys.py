"""What the daemon asks of the host's key pair; a short-lived child does it."""

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from outrider.agent.identity.files import Claim, Identity, IdentityBroken, load
from outrider.kit.own_module import own_module

_PROGRAM = own_module("outrider.agent.identity")
_CHILD_SECONDS = 60.0
_MAX_COMPLAINT = 2000


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


async def prove(folder: Path, claim: Claim) -> tuple[Identity, bytes]:
    """The host's identity, made when there is none, and its signature under what it claims as it enrols.

    One child does both: at a first start its imports are what takes longest. Raises IdentityBroken.
    """
    answer = await _run_child(["prove", str(folder)], msgspec.json.encode(claim))
    identity = await asyncio.to_thread(load, folder)
    if identity is None:
        raise IdentityBroken(f"no identity was made in {folder}")
    return identity, base64.b64decode(answer)


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
