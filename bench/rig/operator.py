"""What a person at the center does before a measurement: sign in, make enrolment keys, find agents."""

from pathlib import Path
from typing import Any

import msgspec

from bench.rig.http import Connection
from bench.rig.programs import ADMIN_PASSWORD, CenterProgram


async def sign_in(center: CenterProgram) -> str:
    """Return a session token of the first user."""
    async with Connection(center.url) as connection:
        answer = await connection.post("/api/login", {"username": "admin", "password": ADMIN_PASSWORD})
    return str(answer["token"])


async def enrolment_key(center: CenterProgram, token: str) -> str:
    """Make an enrolment key that approves whoever shows it, as often as wanted."""
    async with Connection(center.url, token) as connection:
        answer = await connection.post("/api/enrolment-keys", {"uses": None, "approve": True})
    return str(answer["key"])


async def authority(center: CenterProgram, folder: Path) -> Path:
    """Write the center's certificate authority into a file and return it."""
    async with Connection(center.url) as connection:
        file = folder / "authority.pem"
        file.write_bytes(await connection.get("/api/ca"))
    return file


async def agents(center: CenterProgram, token: str) -> list[dict[str, Any]]:
    """List all agents."""
    async with Connection(center.url, token) as connection:
        listed: list[dict[str, Any]] = msgspec.json.decode(await connection.get("/api/agents"))
    return listed
