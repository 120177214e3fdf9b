"""The center's API as typed methods, for programs that run on an event loop."""

from __future__ import annotations

import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from outrider.client import trust
from outrider.client.answers import (
    Agent,
    AgentDetail,
    Command,
    CommandType,
    EnrolmentKeyFacts,
    Event,
    EventsMissed,
    Missed,
    NewEnrolmentKey,
    Output,
    Progress,
    Reconnecting,
    Sent,
    Session,
    SignIn,
    StateChange,
)
from outrider.client.faults import WrongCertificate
from outrider.client.transport import Interruption, Transport, check_url
from outrider.domain.errors import OutriderError
from outrider.kit.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping
    from types import TracebackType

    from outrider.kit.sse import SseEvent

_PAGE: Final = 1000
_STREAM_PATIENCE: Final = 300.0


class AsyncCenter:
    """One control center.

        async with AsyncCenter("http://127.0.0.1:8080", token=token) as center:
            for agent in await center.agents(tag="web"):
                await center.send(agent.id, "shell", {"command": "uptime"})

    Every method raises what the center raised, as the error of `outrider.domain.errors` with its code, or
    CenterAway, WrongCertificate or StrangeAnswer. What can be repeated without harm is tried again when the
    center can't be reached; the rest is asked for once.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        authority: str | None = None,
        allow_plain: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Name a center; nothing is asked of it yet.

        `authority` is the PEM text of the certificate authority to trust for https (None: the system's).
        Plain http is taken for this machine's own addresses; for others only with `allow_plain`. Raises
        Invalid for an address or a PEM text that can't be used.
        """
        self._url = check_url(url, allow_plain=allow_plain)
        self._authority = authority
        self._clock = clock or SystemClock()
        self._token = token
        self._opened: Transport | None = None

    async def __aenter__(self) -> Self:
        self._transport()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. The center may be used again afterwards."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    def _transport(self) -> Transport:
        if self._opened is None:
            self._opened = Transport(self._url, authority=self._authority, clock=self._clock)
            self._opened.token = self._token
        return self._opened

    @property
    def url(self) -> str:
        """The center's address."""
        return str(self._url)

    @property
    def token(self) -> str | None:
        """The token that requests carry."""
        return self._token

    @property
    def authority(self) -> str | None:
        """The PEM text of the authority that is trusted; None for the system's."""
        return self._authority

    async def offered_authorities(self) -> list[trust.Authority]:
        """Ask the center for its certificate authorities, verifying nothing: show their pins to a person."""
        return await self._transport().offered_authorities()

    async def trust_pins(self, pins: Collection[str]) -> None:
        """Trust from now on the center's authorities that have one of these pins, and nothing else.

        Raises WrongCertificate when it offers none of them.
        """
        offered = await self.offered_authorities()
        pem = trust.pinned(offered, pins)
        if not pem:
            seen = [authority.pin for authority in offered]
            shown = " ".join(seen) or "no authority of its own"
            raise WrongCertificate(
                f"{self.url} is not the center with the pin {' '.join(pins)}: it shows {shown}. Compare with "
                "the pin that the center itself prints; if they differ, somebody is between you and it.",
                url=self.url,
                reason="pin",
                pinned=list(pins),
                seen=seen,
            )
        await self.close()
        self._authority = pem

    async def login(self, username: str, password: str) -> SignIn:
        """Sign in; later requests carry the new token. Raises Unauthenticated, or Throttled (retry_after)."""
        signed_in = await self._transport().ask(
            "POST", "/api/login", SignIn, body={"username": username, "password": password}
        )
        self._token = self._transport().token = signed_in.token
        return signed_in

    async def logout(self) -> None:
        """End the session of our token."""
        await self._transport().fetch("POST", "/api/logout", repeatable=True)
        self._token = self._transport().token = None

    async def session(self) -> Session:
        """Who we are, and which center this is."""
        return await self._transport().ask("GET", "/api/session", Session, repeatable=True)

    async def agents(
        self, *, tag: str | None = None, status: str | None = None, text: str | None = None
    ) -> list[Agent]:
        """All agents that match. `text` is looked for in labels, hostnames and the like."""
        return [agent async for page in self.agent_pages(tag=tag, status=status, text=text) for agent in page]

    async def agent_pages(
        self,
        *,
        tag: str | None = None,
        status: str | None = None,
        text: str | None = None,
        limit: int = _PAGE,
    ) -> AsyncGenerator[list[Agent], None]:
        """The matching agents, up to `limit` at a time."""
        asked = {"tag": tag, "status": status, "q": text, "limit": str(limit)}
        query: Mapping[str, str] | None = {name: value for name, value in asked.items() if value is not None}
        path: str | None = "/api/agents"
        while path is not None:
            page = await self._transport().fetch("GET", path, query=query, repeatable=True)
            yield self._transport().decode(page.body, list[Agent], "/api/agents")
            path, query = page.next_path, None

    async def agent(self, agent_id: str) -> AgentDetail:
        """One agent with all that is known of it. Raises NotFound."""
        return await self._transport().ask("GET", _agent(agent_id), AgentDetail, repeatable=True)

    async def edit_agent(
        self, agent_id: str, *, label: str | None = None, tags: Collection[str] | None = None
    ) -> AgentDetail:
        """Set an agent's label, its tags, or both; None leaves as it is. `tags` replaces all of them."""
        body: dict[str, Any] = {}
        if label is not None:
            body["label"] = label
        if tags is not None:
            body["tags"] = list(tags)
        return await self._transport().ask("PATCH", _agent(agent_id), AgentDetail, body=body, repeatable=True)

    async def delete_agent(self, agent_id: str) -> None:
        """Delete an agent and all of its history."""
        await self._transport().fetch("DELETE", _agent(agent_id))

    async def approve(self, agent_id: str) -> Agent:
        """Let a pending agent in."""
        return await self._transport().ask("POST", _agent(agent_id) + "/approve", Agent)

    async def decline(self, agent_id: str) -> Agent:
        """Turn an agent away."""
        return await self._transport().ask("POST", _agent(agent_id) + "/decline", Agent)

    async def send(
        self,
        agent_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send a command; the answer means that it is on the center's disk.

        It is sent under an idempotency key (made here unless given), so that a repeated request, ours or
        yours within 24 hours, never makes a second command.
        """
        body: dict[str, Any] = {"type": kind, "params": dict(params or {})}
        if ttl is not None:
            body["ttl"] = ttl
        return await self._transport().ask(
            "POST",
            _agent(agent_id) + "/commands",
            Sent,
            body=body,
            headers={"Idempotency-Key": idempotency_key or secrets.token_urlsafe(18)},
            repeatable=True,
        )

    async def commands(self, agent_id: str) -> list[Command]:
        """The agent's last 100 commands, newest first."""
        return await self._transport().ask(
            "GET", _agent(agent_id) + "/commands", list[Command], repeatable=True
        )

    async def command(self, agent_id: str, command_id: str) -> Command:
        """One command as it stands. Raises NotFound."""
        return await self._transport().ask("GET", _command(agent_id, command_id), Command, repeatable=True)

    async def cancel(self, agent_id: str, command_id: str) -> Command:
        """Ask for a command to be cancelled; one that has ended stays as it is."""
        return await self._transport().ask(
            "POST", _command(agent_id, command_id) + "/cancel", Command, repeatable=True
        )

    async def follow(
        self, agent_id: str, command_id: str, *, patience: float | None = _STREAM_PATIENCE
    ) -> AsyncGenerator[Progress, None]:
        """Follow a command from its first output: pieces and changes as they come, last the Command itself.

        A broken connection is taken up again where it broke, with a Reconnecting before each try. Raises
        CenterAway after `patience` seconds without a word (None: never). To leave early, use
        `contextlib.aclosing`.
        """
        path = _command(agent_id, command_id) + "/stream"
        async with aclosing(self._stream(path, "", patience)) as events:
            async for event in events:
                if isinstance(event, Interruption):
                    yield Reconnecting(reason=event.reason, seconds=event.seconds)
                    continue
                match event.event:
                    case "output":
                        yield self._transport().decode(event.data, Output, path)
                    case "missed":
                        yield self._transport().decode(event.data, Missed, path)
                    case "state":
                        yield self._transport().decode(event.data, StateChange, path)
                    case "result":
                        yield self._transport().decode(event.data, Command, path)
                        return
                    case _:
                        # A newer center may say more than we know.
                        continue

    def _stream(
        self, path: str, last_id: str, patience: float | None
    ) -> AsyncGenerator[SseEvent | Interruption, None]:
        return self._transport().stream(path, last_id=last_id, patience=patience)

    async def run(
        self,
        agent_id: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        ttl: float | None = None,
    ) -> Command:
        """Send a command and return it once it has ended, however long that takes."""
        sent = await self.send(agent_id, kind, params, ttl=ttl)
        async with aclosing(self.follow(agent_id, sent.command_id, patience=None)) as progress:
            async for step in progress:
                if isinstance(step, Command):
                    return step
        raise AssertionError("following a command ends with its result")

    async def command_types(self) -> list[CommandType]:
        """The command types this center knows."""
        return await self._transport().ask(
            "GET", "/api/agents/command-types", list[CommandType], repeatable=True
        )

    async def new_enrolment_key(
        self,
        *,
        label: str | None = None,
        uses: int | None = 1,
        ttl: float | None = None,
        approve: bool = False,
        tags: Collection[str] = (),
    ) -> NewEnrolmentKey:
        """Make an enrolment key; its text is shown this once.

        `uses` None is as often as one likes; `ttl` in seconds (None: the center's default); with `approve`
        hosts that come with it need no approval by hand; `tags` are put on them.
        """
        body: dict[str, Any] = {"uses": uses, "approve": approve, "tags": list(tags)}
        if label is not None:
            body["label"] = label
        if ttl is not None:
            body["ttl"] = ttl
        return await self._transport().ask("POST", "/api/enrolment-keys", NewEnrolmentKey, body=body)

    async def enrolment_keys(self) -> list[EnrolmentKeyFacts]:
        """The enrolment keys that are alive, without their secrets."""
        return await self._transport().ask(
            "GET", "/api/enrolment-keys", list[EnrolmentKeyFacts], repeatable=True
        )

    async def revoke_enrolment_key(self, key_id: str) -> None:
        """End an enrolment key; hosts that came with it stay."""
        await self._transport().fetch("DELETE", f"/api/enrolment-keys/{_safe(key_id)}")

    async def events(
        self, *, after: int | None = None, patience: float | None = None
    ) -> AsyncGenerator[Event | EventsMissed, None]:
        """The center's changes as they happen, after the position `after` (None: from now on). Never ends.

        A broken connection is taken up again where it broke. Leave with `contextlib.aclosing`.
        """
        path = "/api/events"
        async with aclosing(self._stream(path, "" if after is None else str(after), patience)) as events:
            async for event in events:
                if isinstance(event, Interruption):
                    continue
                if event.event == "missed":
                    yield self._transport().decode(event.data, EventsMissed, path)
                else:
                    yield self._transport().decode(event.data, Event, path)

    async def is_trusted(self) -> bool:
        """Tell whether the center's certificate is verified under the authority we trust.

        Raises CenterAway, and nothing for what the center answers: only the connection counts.
        """
        try:
            await self._transport().fetch("GET", "/healthz", repeatable=True)
        except WrongCertificate:
            return False
        except OutriderError as error:
            if error.code == "center_away":
                raise
        return True


def _safe(part: str) -> str:
    # An id that a person typed may hold anything; in the path it must stay one part.
    return quote(part, safe="")


def _agent(agent_id: str) -> str:
    return f"/api/agents/{_safe(agent_id)}"


def _command(agent_id: str, command_id: str) -> str:
    return f"{_agent(agent_id)}/commands/{_safe(command_id)}"
