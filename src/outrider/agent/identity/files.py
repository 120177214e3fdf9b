"""The identity as it lies in the agent's folder. The child loads this, so it imports little."""

import base64
from pathlib import Path

import msgspec

from outrider.domain.enrolment import device_id_hex, device_id_of_der
from outrider.domain.errors import OutriderError
from outrider.kit.files import FileTooLarge, read_bounded

_MAX_FILE = 64 * 1024


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


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a host signs as it enrols, beside its device id (`domain.enrolment.enrolment_proof`)."""

    agent_key_hash: bytes
    enrolment_key_id: str


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
