"""One deployment from its first step to its last, and what is undone when it fails on the way."""

from __future__ import annotations

import asyncio
import importlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from outrider.center.deploy import rows
from outrider.center.deploy.contact import Credentials, HostKeyMismatch, Patience
from outrider.center.deploy.key_files import KeyFiles
from outrider.center.deploy.progress import Course, Deployed
from outrider.center.deploy.reach import Reach
from outrider.center.deploy.remote import File, HostFacts, Lost, Remote, of_bytes
from outrider.center.deploy.rows import Place
from outrider.center.deploy.wishes import DeployBody, SshBody
from outrider.center.deploy.writes import REMEMBER, Remembering
from outrider.center.fleet.service import FleetService, MadeKey
from outrider.center.store.engine import Store
from outrider.domain.actors import Actor
from outrider.domain.deployments import (
    DeployFailed,
    DeployStep,
    HostKeyRefused,
    SshKeyUnusable,
)
from outrider.domain.enrolment import hash_agent_key, new_agent_key
from outrider.domain.errors import Invalid, NotFound, OutriderError
from outrider.domain.host_keys import HostKey, Pinned, normal_host, parse_pinned, place_of
from outrider.domain.ids import AgentId, KeyId
from outrider.domain.tags import parse_tags
from outrider.kit import logs
from outrider.kit.clock import Clock

if TYPE_CHECKING:
    from outrider.center.deploy import ssh
    from outrider.center.deploy.ssh import Connection

log = logs.get(__name__)

_KEY_TTL: Final = 1_800.0
_LOOK_EVERY: Final = 0.5
_ZIPAPP: Final = "outrider-agent.pyz"
_BUNDLE: Final = "bundle.tar.gz"
_TOLD_EVERY: Final = 4


class BundleOffer(Protocol):
    """A bundle that the center has."""

    @property
    def name(self) -> str:
        """Its file name."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 in hex."""
        ...

    @property
    def size(self) -> int:
        """In bytes."""
        ...


class Supply(Protocol):
    """What is brought to hosts."""

    async def offer(self, facts: HostFacts) -> BundleOffer:
        """Find the bundle that fits a host. Raises NoBundle, which says how to make one."""
        ...

    def pieces(self, digest: str) -> AsyncGenerator[bytes, None]:
        """Give a bundle's bytes."""
        ...

    async def program(self) -> bytes:
        """Give the installer: one file that a host's Python runs."""
        ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every deployment works with."""

    store: Store
    fleet: FleetService
    is_there: Callable[[AgentId], bool]
    supply: Supply
    reach: Reach
    key_files: KeyFiles
    clock: Clock
    patience: Patience
    #: The socket of the SSH agent of the center's process; empty when there is none.
    agent_socket: str = ""
    #: More settings for the installer, such as other places on the host.
    site: Mapping[str, Any] = field(default_factory=dict)


def load_ssh() -> Any:
    """Load what speaks SSH: half a second and 15 MB that a center which never deploys does without."""
    return importlib.import_module("outrider.center.deploy.ssh")


class Errand:
    """Brings the agent to one host."""

    def __init__(
        self,
        parts: Parts,
        body: DeployBody,
        by: Actor,
        course: Course,
        *,
        note_key: Callable[[KeyId], Awaitable[None]],
    ) -> None:
        """Take what is wanted. `note_key` writes down which enrolment key has to be ended some day."""
        self._parts = parts
        self._body = body
        self._by = by
        self._course = course
        self._note_key = note_key
        self._began = parts.clock.time()
        self._remote: Remote | None = None
        self._key_id: KeyId | None = None
        #: Set once the agent is there, whatever comes after that.
        self.done: Deployed | None = None
        self._is_sent = False

    @property
    def output(self) -> str:
        """What the host said that was no report."""
        return self._remote.output.text if self._remote is not None else ""

    async def run(self) -> Deployed:
        """Do it. Raises the error of the step that failed; what was done on the host and here is undone.

        Cancelled, the host undoes it too.
        """
        parts, body, course = self._parts, self._body, self._course
        agent_key = new_agent_key()
        course.enter(DeployStep.CONNECT)
        async with self._connected() as connection:
            try:
                course.enter(DeployStep.PREFLIGHT)
                url = parts.reach.url_for(body.center_url, connection.local_address)
                remote = self._remote = await Remote.begin(
                    connection,
                    sudo_password=body.sudo_password or "",
                    clock=parts.clock,
                    patience=parts.patience,
                )
                facts = await remote.look()
                offer = await parts.supply.offer(facts)
                program = of_bytes(_ZIPAPP, await parts.supply.program())
                course.note(f"{facts.target}: {offer.name}")
                course.enter(DeployStep.COPY)
                key = await self._make_key()
                self._is_sent = True
                bundle = File(
                    name=_BUNDLE,
                    size=offer.size,
                    sha256=offer.digest,
                    pieces=lambda: parts.supply.pieces(offer.digest),
                )
                settings = self._settings(url, key, agent_key, offer)
                await remote.send([program, bundle], settings, self._tell_progress(program.size + offer.size))
                done = self.done = await self._installed(remote, agent_key)
                course.is_ending = True
            except BaseException:
                await self._undo()
                raise
        return done

    # --- getting there

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """Connect, by way of the jump host where there is one."""
        body = self._body
        loaded: Any = await asyncio.to_thread(load_ssh)
        credentials = await self._credentials(loaded, body)
        if body.jump is None:
            connection = await self._dial(loaded, body, credentials, None, "")
            try:
                yield connection
            finally:
                await connection.close()
            return
        theirs = await self._credentials(loaded, body.jump) if body.jump.has_credentials else credentials
        self._course.note(f"by way of {body.jump.host}")
        jump = await self._dial(loaded, body.jump, theirs, None, "")
        try:
            connection = await self._dial(loaded, body, credentials, jump, place_name(body.jump))
            try:
                yield connection
            finally:
                await connection.close()
        finally:
            await jump.close()

    async def _credentials(self, loaded: Any, body: SshBody) -> Credentials:
        """Open what is signed in with. Raises SshKeyUnusable or Invalid, of the step authenticate."""
        parts = self._parts
        try:
            texts = [body.ssh_key_text] if body.ssh_key_text else []
            if body.ssh_key:
                texts.append(await asyncio.to_thread(parts.key_files.read, body.ssh_key))
            if body.ssh_agent and not parts.agent_socket:
                raise SshKeyUnusable(
                    "The center's process knows no SSH agent: start it with SSH_AUTH_SOCK.", field="ssh_agent"
                )
            keys = [await loaded.open_key(text, body.ssh_passphrase, parts.clock) for text in texts]
        except OutriderError as error:
            raise _at(error, DeployStep.AUTHENTICATE) from error
        return Credentials(
            keys=keys,
            agent=parts.agent_socket if body.ssh_agent else "",
            password=body.ssh_password or "",
        )

    async def _dial(
        self, loaded: Any, body: SshBody, credentials: Credentials, tunnel: Connection | None, via: str
    ) -> Connection:
        """Connect to one SSH server and sign in."""
        parts, course = self._parts, self._course
        place = Place(normal_host(body.host), body.ssh_port, via)
        async with parts.store.read() as conn:
            known = await rows.host_key_at(conn, place)
        pinned = parse_pinned(body.known_host) if body.known_host else None
        is_target = body is self._body

        async def admitted(key: HostKey) -> None:
            remembering = Remembering(place=place, key=key, by=self._by, pinned=pinned is not None)
            is_new = await parts.store.writer.submit(REMEMBER, remembering)
            if is_new and pinned is None:
                course.note(f"{body.host}: trusted its key {key.fingerprint} at first sight")

        def on_authenticate() -> None:
            if is_target:
                course.enter(DeployStep.AUTHENTICATE)

        seen: list[HostKey] = []

        def refuse(key: HostKey) -> str:
            seen.append(key)
            return _refusal(key, place, pinned, known)

        module: type[ssh.Connection] = loaded.Connection
        try:
            return await module.dial(
                place.host,
                place.port,
                body.ssh_user,
                credentials,
                algorithms=pinned.algorithms if pinned else [known.key.algorithm] if known else (),
                refuse=refuse,
                admitted=admitted,
                on_authenticate=on_authenticate,
                tunnel=tunnel,
                clock=parts.clock,
                patience=parts.patience,
            )
        except HostKeyMismatch as error:
            expected = sorted(pinned.fingerprints) if pinned else [known.key.fingerprint] if known else []
            raise HostKeyRefused(
                str(error) if is_target else f"The jump host: {error}",
                step=DeployStep.CONNECT.value,
                seen=seen[-1].fingerprint if seen else "",
                known=expected,
            ) from error
        except OutriderError as error:
            if is_target:
                raise
            step = DeployStep.CONNECT
            raise _at(type(error)(f"The jump host: {error.detail}", **error.fields), step) from error

    # --- what is sent, and what comes of it

    async def _make_key(self) -> MadeKey:
        body = self._body
        return await self._parts.fleet.make_key(
            by=self._by,
            label=f"deploy {body.label or body.host}"[:200],
            uses=1,
            ttl=_KEY_TTL,
            approve=True,
            tags=body.tags,
            announce=self._announce,
        )

    async def _announce(self, key_id: KeyId) -> None:
        """Note which key has to be ended, before there is one: we may be killed at any moment."""
        self._key_id = key_id
        await self._note_key(key_id)

    def _settings(self, url: str, key: MadeKey, agent_key: str, offer: BundleOffer) -> dict[str, Any]:
        trust = self._parts.reach.trust if url.startswith("https:") else None
        given = {
            "ca_pem": trust.ca_pem if trust else "",
            "pins": list(trust.pins) if trust else [],
            "label": self._body.label,
        }
        return {
            "center_url": url,
            "enrolment_key": key.key,
            "agent_key": agent_key,
            "adopt": self._body.adopt,
            "bundle_digest": offer.digest,
            "start": True,
            "wait": self._parts.patience.online,
            **{name: value for name, value in given.items() if value},
            **self._parts.site,
        }

    def _tell_progress(self, size: int) -> Callable[[int], None]:
        """Return what notes each quarter that was sent."""
        told = 0

        def tell(sent: int) -> None:
            nonlocal told
            quarter = sent * _TOLD_EVERY // size if size else _TOLD_EVERY
            if quarter > told:
                told = quarter
                self._course.note(f"{sent / 1e6:.1f} of {size / 1e6:.1f} MB")

        return tell

    async def _installed(self, remote: Remote, agent_key: str) -> Deployed:
        """Follow the installer to its end, and hold what it says against what is known here."""
        said, changed = "", True
        try:
            async for told in remote.reports():
                self._course.enter(told.step)
                if told.state == "note" or (told.state == "done" and told.detail):
                    self._course.note(told.detail)
                if told.step is DeployStep.ONLINE and told.state == "done":
                    said, changed = told.agent_id, told.changed
        except Lost as error:
            if self._course.step not in (DeployStep.START, DeployStep.ONLINE):
                raise DeployFailed(
                    f"{error} The host undoes by itself what was begun there.", output=self.output
                ) from error
            # It goes on by itself there, and does not need us for that.
            self._course.note(f"{error} Waiting for its agent to come by itself.")
            return await self._come_by_itself(agent_key, str(error))
        return await self._confirmed(said, agent_key, changed=changed)

    async def _come_by_itself(self, agent_key: str, why: str) -> Deployed:
        patience = self._parts.patience.online + self._parts.patience.link
        enrolled = await self._linked(patience)
        if enrolled is None:
            raise DeployFailed(f"{why} Its agent has not come online since.", step=DeployStep.ONLINE.value)
        return Deployed(agent_id=enrolled.agent_id, key=_told_key(agent_key, enrolled), changed=True)

    async def _confirmed(self, said: str, agent_key: str, *, changed: bool) -> Deployed:
        """Say which agent is there. What the host says counts only of one that was there before."""
        if (await self._let_in()) is not None:
            enrolled = await self._linked(self._parts.patience.link)
            if enrolled is None:
                raise DeployFailed(
                    "The host says that its agent is connected; it is not connected here.",
                    step=DeployStep.ONLINE.value,
                )
            return Deployed(agent_id=enrolled.agent_id, key=_told_key(agent_key, enrolled), changed=changed)
        if not said:
            raise DeployFailed(
                "The installer has ended, and no agent has come of it.", step=DeployStep.ONLINE.value
            )
        try:
            view = await self._parts.fleet.detail(said)
        except NotFound:
            raise DeployFailed(
                f"The host says that it is {said}, which this center does not know.",
                step=DeployStep.ONLINE.value,
            ) from None
        await self._end_key()
        return Deployed(agent_id=AgentId(view.id), key="", changed=changed)

    async def _let_in(self) -> rows.Enrolled | None:
        if self._key_id is None:
            return None
        async with self._parts.store.read() as conn:
            return await rows.let_in_by(conn, self._key_id)

    async def _linked(self, seconds: float) -> rows.Enrolled | None:
        """Return the agent that came with our key once it is connected; None when it is not in time."""
        clock = self._parts.clock
        until = clock.monotonic() + seconds
        while True:
            enrolled = await self._let_in()
            if enrolled is not None and self._parts.is_there(enrolled.agent_id):
                return enrolled
            if clock.monotonic() >= until:
                return None
            await clock.sleep(_LOOK_EVERY)

    # --- undoing it

    async def _undo(self) -> None:
        """Leave nothing: on the host what the installer did, here the key and the agent that was made.

        When the center stops there is no time for that. The host sees the connection's end: it undoes what
        was begun, or, once the agent was started, goes on by itself, which a key that has ended decides.
        """
        self._course.is_ending = True
        try:
            if (
                not self._course.is_stopping
                and self._remote is not None
                and self._is_sent
                and (left := await self._remote.undo())
            ):
                self._course.note(left)
        finally:
            # Also when the center stops while the host undoes it.
            since = math.inf if self._course.is_stopping else self._began
            await undo_here(self._parts, self._key_id, self._by, since=since)

    async def _end_key(self) -> None:
        if self._key_id is not None:
            await self._parts.fleet.revoke_key(self._key_id, by=self._by)


async def undo_here(parts: Parts, key_id: KeyId | None, by: Actor, *, since: float) -> None:
    """End a deployment's enrolment key, and delete the agent that it has made, unless before `since`."""
    if key_id is None:
        return
    try:
        with suppress(NotFound):  # it was announced, and never made
            await parts.fleet.revoke_key(key_id, by=by)
        async with parts.store.read() as conn:
            enrolled = await rows.let_in_by(conn, key_id)
        if enrolled is not None and enrolled.first_seen >= since:
            await parts.fleet.delete(enrolled.agent_id, by)
    except OutriderError as error:
        log.warning("a deployment could not be tidied up after", enrolment_key=key_id, reason=error.detail)


def place_name(body: SshBody) -> str:
    """Name where an SSH server is found."""
    return place_of(normal_host(body.host), body.ssh_port)


def _refusal(key: HostKey, place: Place, pinned: Pinned | None, known: rows.HostKeyRow | None) -> str:
    """Say why a host's key is not admitted; empty when it is. What a person has named counts first."""
    where = place_of(place.host, place.port, [place.via] if place.via else ())
    if pinned is not None:
        if pinned.admits(key):
            return ""
        named = " or ".join(sorted(pinned.fingerprints))
        return f"{where} shows the key {key.fingerprint}, not {named}: it is another machine than was meant."
    if known is None or known.blob == key.blob:
        return ""
    return (
        f"{where} shows another key than before: {key.fingerprint}, not {known.key.fingerprint}. If the host "
        f"was set up anew, forget the old key (`outrider host-keys forget {known.id}`) or name the new one "
        "(known_host, `--accept-host-key`); if not, somebody is between the center and it."
    )


def _told_key(agent_key: str, enrolled: rows.Enrolled) -> str:
    return agent_key if hash_agent_key(agent_key) == bytes(enrolled.key_hash) else ""


def _at(error: OutriderError, step: DeployStep) -> OutriderError:
    """Return an error with the step that it belongs to."""
    return type(error)(error.detail, **{"step": step.value, **error.fields})


def check_body(body: DeployBody) -> None:
    """Refuse what can't work, before anything is done. Raises Invalid."""
    parse_tags(body.tags)
    if not body.has_credentials:
        raise Invalid(
            "Say how to sign in on the host: ssh_key_text, ssh_key, ssh_password or ssh_agent.",
            field="ssh_key",
        )
    for each in (body, body.jump):
        if each is not None and each.known_host:
            parse_pinned(each.known_host)
