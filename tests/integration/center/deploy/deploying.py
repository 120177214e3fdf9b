"""Deployments by the real service to a real sshd, with an installer that does what a test says.

The installer is a Python program in place of the zipapp; it finds its settings on its standard input.
`REPORT` gives it `say(step, state, ...)`. What it is told it leaves in `/root/told.json`, so that a test can
enrol in its place.
"""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from outrider.center.deploy.contact import Patience
from outrider.center.deploy.errand import Parts
from outrider.center.deploy.key_files import KeyFiles
from outrider.center.deploy.progress import Course, Deployed
from outrider.center.deploy.reach import Reach, Trust
from outrider.center.deploy.remote import HostFacts
from outrider.center.deploy.service import DeployService
from outrider.center.deploy.wishes import DeployBody
from outrider.domain.actors import Actor, ActorKind
from outrider.kit.clock import SystemClock
from outrider.kit.tasks import Tasks
from tests.fixtures.center import OwnCenter
from tests.fixtures.links import TestAgent, enrolment
from tests.fixtures.ssh_host import KEY, SshHost

ADMIN: Final = Actor(kind=ActorKind.USER, id="user_admin", name="the_admin")
BUNDLE: Final = bytes(range(256)) * 4096
REPORT: Final = """
import json, os, signal, sys, time
settings = json.load(sys.stdin)
def say(step, state, detail="", **more):
    print(json.dumps({"step": step, "state": state, "detail": detail, **more}), flush=True)
def undo(*_):
    say("start", "failed", "undone")
    os.unlink("/root/made")
    sys.exit(1)
open("/root/made", "w").close()
signal.signal(signal.SIGTERM, undo)
with open("/root/told.tmp", "w") as file:
    json.dump(settings, file)
os.rename("/root/told.tmp", "/root/told.json")
"""
GOES_WELL: Final = """
say("preflight", "begun"); say("preflight", "done")
say("unpack", "begun"); say("unpack", "done")
say("start", "begun"); say("start", "done")
say("online", "begun")
while not os.path.exists("/root/online"):
    time.sleep(0.02)
say("online", "done", agent_id=open("/root/online").read(), changed=True)
"""


@dataclass
class Offer:
    """A bundle that is none."""

    name: str
    digest: str
    size: int


class ScriptedSupply:
    """Brings a program of the test's, and bytes that stand for a bundle."""

    def __init__(self, script: str, bundle: bytes = BUNDLE) -> None:
        self.script = script
        self.bundle = bundle
        self.asked: list[HostFacts] = []
        #: Cleared, no piece of the bundle is given.
        self.flows = asyncio.Event()
        self.flows.set()
        self.is_flowing = asyncio.Event()

    async def offer(self, facts: HostFacts) -> Offer:
        """Offer the bytes to anybody."""
        self.asked.append(facts)
        return Offer("bundle", hashlib.sha256(self.bundle).hexdigest(), len(self.bundle))

    async def pieces(self, digest: str) -> AsyncGenerator[bytes, None]:
        """Give them."""
        for start in range(0, len(self.bundle), 65536):
            yield self.bundle[start : start + 65536]
            self.is_flowing.set()
            await self.flows.wait()

    async def program(self) -> bytes:
        """Give the script as a zipapp."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("__main__.py", REPORT + self.script)
        return packed.getvalue()


class Deploying:
    """A deploy service with a scripted installer, beside a center."""

    def __init__(self, own: OwnCenter, service: DeployService, supply: ScriptedSupply) -> None:
        self.own = own
        self.service = service
        self.supply = supply

    async def begin(self, target: SshHost, /, **changes: Any) -> Course:
        """Begin a deployment; as root with the key unless told otherwise."""
        return await self.service.begin(self.body(target, **changes), ADMIN)

    async def run(self, target: SshHost, /, **changes: Any) -> Deployed:
        """Begin one and wait for its end. Raises the error that it fails with."""
        return await (await self.begin(target, **changes)).outcome()

    def body(self, target: SshHost, /, **changes: Any) -> DeployBody:
        """Make the body of a deployment."""
        said: dict[str, Any] = {
            "host": target.address,
            "ssh_key_text": KEY,
            "label": "web-1",
            "center_url": self.own.url,
        }
        return DeployBody(**{name: value for name, value in {**said, **changes}.items() if value is not None})

    async def told(self, host: SshHost) -> dict[str, Any]:
        """Return the settings that the installer was given, once it has them."""
        file = host.bare.root / "root/told.json"
        async with asyncio.timeout(20):
            while not file.exists():  # noqa: ASYNC110 - a file sends no event
                await asyncio.sleep(0.01)
        told: dict[str, Any] = json.loads(file.read_text())
        return told

    @asynccontextmanager
    async def agent_of(self, host: SshHost) -> AsyncIterator[TestAgent]:
        """Enrol in the installer's place, with the key that it was given; it is connected in the block."""
        told = await self.told(host)
        body = enrolment(told["enrolment_key"], agent_key=told["agent_key"], label=told.get("label", ""))
        answer = await self.own.api.post("/api/agents/enrol", body, role=None)
        agent = TestAgent(answer["agent_id"], told["agent_key"], body["device_id"], None)  # type: ignore[arg-type]  # it signs nothing more
        async with agent.linked(self.own.api):
            (host.bare.root / "root/online").write_text(agent.id)
            yield agent


@asynccontextmanager
async def deploying(
    own: OwnCenter,
    script: str = GOES_WELL,
    *,
    patience: Patience | None = None,
    keys: Path | None = None,
    **parts: Any,
) -> AsyncIterator[Deploying]:
    """Run a deploy service beside the center for the block."""
    supply = ScriptedSupply(script)
    given = Parts(
        store=own.center.store,
        fleet=own.center.fleet,
        is_there=own.center.presence.is_there,
        supply=supply,
        reach=Reach("", Trust()),
        key_files=KeyFiles(keys or own.home / "keys"),
        clock=SystemClock(),
        patience=patience or Patience(online=20.0),
    )
    service = DeployService(replace(given, **parts))
    async with Tasks("deploying") as tasks:
        ready = asyncio.Event()
        tasks.spawn("service", service.serve(ready.set))
        await ready.wait()
        yield Deploying(own, service, supply)
