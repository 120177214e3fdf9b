"""The host's identity, made and used by real child processes."""

from __future__ import annotations

import asyncio
import base64
import ssl
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from outrider.agent.identity import keys
from outrider.agent.identity.files import Claim, IdentityBroken, load
from outrider.center.security.folder_lock import folder_lock
from outrider.center.security.proof import device_id_of, verify_enrolment
from outrider.domain.enrolment import device_id_hex, enrolment_proof, hash_agent_key, new_agent_key

if TYPE_CHECKING:
    from pathlib import Path


async def test_an_identity_is_made_once(tmp_path: Path) -> None:
    """The first start makes it, later starts read it; the private key is for its owner alone."""
    folder = tmp_path / "agent"
    made = await keys.load_or_make(folder)
    assert await keys.load_or_make(folder) == made
    assert made.device_id == device_id_of(made.public_key)
    assert made.device_id_hex == device_id_hex(made.device_id)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"identity.key": 0o600, "identity.pem": 0o644, "identity.json": 0o644}


async def test_two_starts_at_once_make_one_identity(tmp_path: Path) -> None:
    """Whoever comes second takes what the first made."""
    one, other = await asyncio.gather(keys.load_or_make(tmp_path), keys.load_or_make(tmp_path))
    assert one == other


async def test_the_center_takes_the_hosts_proof(tmp_path: Path) -> None:
    """What an agent signs at enrolment verifies at the center, for that claim alone."""
    host = await keys.load_or_make(tmp_path)
    agent_key = hash_agent_key(new_agent_key())
    signature = await keys.sign(tmp_path, enrolment_proof(host.device_id, agent_key, "keyid"))
    assert verify_enrolment(host.public_key, signature, enrolment_proof(host.device_id, agent_key, "keyid"))
    assert not verify_enrolment(
        host.public_key, signature, enrolment_proof(host.device_id, agent_key, "other")
    )


@pytest.mark.parametrize("left", [["identity.key"], ["identity.key", "identity.pem"]])
async def test_a_crash_while_making_leaves_nothing_in_the_way(left: list[str], tmp_path: Path) -> None:
    """Without identity.json there is no identity: what a crash left is made anew, whole."""
    for name in left:
        (tmp_path / name).write_bytes(b"half")
    host = await keys.load_or_make(tmp_path)
    assert verify_enrolment(host.public_key, await keys.sign(tmp_path, b"data"), b"data")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b'{"device_id": "A", "device_id_hex": "a", "public_key": "%"}',
        b'{"device_id": "A", "device_id_hex": "a", "public_key": "AAAA"}',
        b" " * 70_000,
    ],
)
async def test_a_damaged_identity_is_never_replaced_by_itself(content: bytes, tmp_path: Path) -> None:
    """The host would be another host: its owner is told what to do instead."""
    (tmp_path / "identity.json").write_bytes(content)
    with pytest.raises(IdentityBroken, match=r"identity\.json.*from a backup"):
        await keys.load_or_make(tmp_path)
    assert (tmp_path / "identity.json").read_bytes() == content


async def test_a_missing_private_key_is_told(tmp_path: Path) -> None:
    """A lost key does not pass for a first start."""
    await keys.load_or_make(tmp_path)
    (tmp_path / "identity.key").unlink()
    with pytest.raises(IdentityBroken, match=r"identity\.key is missing"):
        await keys.load_or_make(tmp_path)


async def test_a_key_that_others_may_read_does_not_sign(tmp_path: Path) -> None:
    """The refusal holds the command that closes it."""
    await keys.load_or_make(tmp_path)
    (tmp_path / "identity.key").chmod(0o644)
    with pytest.raises(IdentityBroken, match="chmod 600"):
        await keys.sign(tmp_path, b"data")


async def test_another_hosts_key_does_not_sign(tmp_path: Path) -> None:
    """A key file copied from elsewhere is noticed before the center refuses its proof."""
    await keys.load_or_make(tmp_path / "one")
    await keys.load_or_make(tmp_path / "other")
    (tmp_path / "one" / "identity.key").write_bytes((tmp_path / "other" / "identity.key").read_bytes())
    with pytest.raises(IdentityBroken, match="not the key"):
        await keys.sign(tmp_path / "one", b"data")


async def test_signing_needs_an_identity_and_a_bounded_claim(tmp_path: Path) -> None:
    """An empty folder and a flood of bytes each have their words."""
    with pytest.raises(IdentityBroken, match="no identity"):
        await keys.sign(tmp_path, b"data")
    await keys.load_or_make(tmp_path)
    with pytest.raises(IdentityBroken, match="more than 65536 bytes"):
        await keys.sign(tmp_path, bytes(65537))


async def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """The child's reason reaches the caller."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IdentityBroken, match="file"):
        await keys.load_or_make(tmp_path / "file" / "agent")


async def test_a_cancelled_start_leaves_no_child(tmp_path: Path) -> None:
    """The child, here held up by another start, is ended and reaped with its caller; a later start works."""
    with folder_lock(tmp_path), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await keys.load_or_make(tmp_path)
    assert (await keys.load_or_make(tmp_path)).device_id


async def test_peers_recognise_each_other_by_their_certificates(tmp_path: Path) -> None:
    """Two hosts that hold each other's certificate agree on mutual TLS."""
    folders = [tmp_path / "server", tmp_path / "client"]
    for folder in folders:
        await keys.load_or_make(folder)

    def context(side: int, own: Path, peer: Path) -> ssl.SSLContext:
        made = ssl.SSLContext(side)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_cert_chain(own / "identity.pem", own / "identity.key")
        made.load_verify_locations(peer / "identity.pem")
        return made

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(ssl.DER_cert_to_PEM_cert(shown).encode())
        writer.close()
        await writer.wait_closed()

    server_side = context(ssl.PROTOCOL_TLS_SERVER, folders[0], folders[1])
    client_side = context(ssl.PROTOCOL_TLS_CLIENT, folders[1], folders[0])
    async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server_side) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_side)
        assert await reader.read() == (folders[1] / "identity.pem").read_bytes()
        writer.close()
        await writer.wait_closed()


def test_the_daemons_side_never_loads_the_cryptography_library() -> None:
    """Importing what the daemon imports leaves `cryptography` out of the process."""
    loaded = "outrider.agent.identity.keys, outrider.agent.trust"
    program = f"import sys, {loaded}; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_misused_program_says_how_it_is_used() -> None:
    """Exit code 2 and a usage line."""
    done = subprocess.run(
        [sys.executable, "-m", "outrider.agent.identity"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_the_sign_program_speaks_base64(tmp_path: Path) -> None:
    """Bytes on standard input, one line of base64 on standard output."""
    program = [sys.executable, "-m", "outrider.agent.identity"]
    subprocess.run([*program, str(tmp_path)], check=True)
    done = subprocess.run(
        [*program, "sign", str(tmp_path)], input=b"\0data\n", check=True, capture_output=True
    )
    host = load(tmp_path)
    assert host is not None
    assert verify_enrolment(host.public_key, base64.b64decode(done.stdout, validate=False), b"\0data\n")


async def test_a_host_proves_itself_in_one_go(tmp_path: Path) -> None:
    """The first time the key pair is made with it, later the same one signs; the center's check holds."""
    key_hash = hash_agent_key(new_agent_key())
    claim = Claim(agent_key_hash=key_hash, enrolment_key_id="keyid1234567")
    host, signature = await keys.prove(tmp_path, claim)
    again, second = await keys.prove(tmp_path, claim)
    assert again == host == await keys.load_or_make(tmp_path)
    proof = enrolment_proof(host.device_id, key_hash, "keyid1234567")
    assert verify_enrolment(host.public_key, signature, proof)
    assert verify_enrolment(host.public_key, second, proof)
