"""Simulated hosts join as real ones do: a key pair each, a signed request to `POST /api/agents/enrol`."""

import asyncio
import base64
from collections.abc import Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.rig.http import Connection
from outrider.agent.enrol import EnrolmentRequest
from outrider.domain.enrolment import (
    EnrolmentKey,
    device_id_of_der,
    enrolment_proof,
    hash_agent_key,
    new_agent_key,
)
from outrider.protocol.messages import Facts

_CONNECTIONS = 16


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A host that has joined."""

    number: int
    agent_id: str
    device_id: str
    agent_key: str


def facts_of(number: int) -> Facts:
    """What simulated host `number` says of itself: as much as a real one."""
    return Facts(
        hostname=f"bench-{number:05}.example.net",
        os="Debian GNU/Linux 12 (bookworm)",
        os_family="debian",
        kernel="6.1.0-28-amd64",
        architecture="x86_64",
        ip=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        agent_version="0.1.0",
        python="3.11.2",
        cpus=4,
        memory_bytes=8 << 30,
        runs_as="root",
        abilities=("shell", "script", "ping", "system_info"),
    )


async def enrol(url: str, key_text: str, count: int) -> list[Member]:
    """Enrol `count` hosts over a few connections; returns them by number."""
    key = EnrolmentKey.parse(key_text)
    numbers = iter(range(count))
    members: list[Member] = []

    async def join_some() -> None:
        async with Connection(url) as connection:
            members.extend([await _join(connection, key, number) for number in numbers])

    async with asyncio.TaskGroup() as group:
        for each in range(min(_CONNECTIONS, count)):
            group.create_task(join_some(), name=f"enrol {each}")
    return sorted(members, key=lambda member: member.number)


async def _join(connection: Connection, key: EnrolmentKey, number: int) -> Member:
    pair = ec.generate_private_key(ec.SECP256R1())
    der = pair.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    device_id, agent_key = device_id_of_der(der), new_agent_key()
    proof = pair.sign(enrolment_proof(device_id, hash_agent_key(agent_key), key.id), ec.ECDSA(SHA256()))
    request = EnrolmentRequest(
        enrolment_key=key.format(),
        device_id=device_id,
        public_key=base64.b64encode(der).decode(),
        certificate="",
        agent_key=agent_key,
        proof=base64.b64encode(proof).decode(),
        facts=facts_of(number),
        label="",
    )
    answer = await connection.post("/api/agents/enrol", request)
    return Member(number=number, agent_id=answer["agent_id"], device_id=device_id, agent_key=agent_key)


def write_members(members: Sequence[Member]) -> bytes:
    """Write members for the fleet's process."""
    return msgspec.msgpack.encode(members)


def read_members(data: bytes) -> list[Member]:
    """Read what `write_members` wrote."""
    return msgspec.msgpack.decode(data, type=list[Member])
