"""A center's API as a script uses it, through restarts of the center."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from outrider.domain.command_states import FINAL
from outrider.kit.tasks import Tasks

# A host that lost its center several times in a row dials again within a minute (`CEILING` of its link).
_PATIENCE: Final = 90.0
_FINAL_KINDS: Final = frozenset(f"command.{state.value}" for state in FINAL)


class ApiProblem(AssertionError):
    """The center answered with an error."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"HTTP {status}: {body}")
        self.status = status
        self.code = body.get("code") if isinstance(body, Mapping) else None


class Up:
    """Whether the center is meant to be up, and how often it came up."""

    def __init__(self) -> None:
        self.starts = 0
        self._event = asyncio.Event()

    def rise(self) -> None:
        """It is ready."""
        self.starts += 1
        self._event.set()

    def fall(self) -> None:
        """It is about to end."""
        self._event.clear()

    @property
    def is_up(self) -> bool:
        """Whether it is up."""
        return self._event.is_set()

    async def wait(self) -> int:
        """Return once it is up: which of its starts this is."""
        await self._event.wait()
        return self.starts


class Happened(msgspec.Struct, frozen=True):
    """One event of the center's log."""

    position: int
    time: float
    kind: str
    subject: str
    data: dict[str, Any]


class Api:
    """Calls the center. A call that a death of the center cuts off is made again when it is back."""

    def __init__(self, http: aiohttp.ClientSession, url: str, up: Up) -> None:
        self._http = http
        self._url = url
        self._up = up
        self._token = ""

    async def login(self, username: str, password: str) -> None:
        """Sign in."""
        answer = await self.call("POST", "/login", {"username": username, "password": password})
        self._token = answer["token"]

    async def login_first(self, username: str, password: str) -> None:
        """Sign in to a center that is ready and that nobody else has been told of yet."""
        answer = await self._call("POST", "/login", {"username": username, "password": password}, {})
        self._token = answer["token"]

    @property
    def headers(self) -> dict[str, str]:
        """What shows who calls."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Make one call and return its answer. Raises ApiProblem."""
        while True:
            start = await self._up.wait()
            try:
                return await self._call(method, path, body, headers)
            except aiohttp.ClientError:
                if self._up.is_up and self._up.starts == start:
                    raise

    async def _call(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        sent = {**self.headers, **headers}
        async with self._http.request(method, f"{self._url}/api{path}", json=body, headers=sent) as response:
            answer = await response.json(content_type=None)
            if not response.ok:
                raise ApiProblem(response.status, answer)
            return answer

    async def send(
        self, agent_id: str, kind: str, params: Mapping[str, Any], *, ttl: float | None = None
    ) -> str:
        """Send a command, once however often it has to be said, and return its id."""
        body = {"type": kind, "params": dict(params)} | ({} if ttl is None else {"ttl": ttl})
        path = f"/agents/{agent_id}/commands"
        answer = await self.call("POST", path, body, **{"Idempotency-Key": secrets.token_hex(8)})
        command_id: str = answer["command_id"]
        return command_id

    async def command(self, agent_id: str, command_id: str, *, wait: float | None = None) -> dict[str, Any]:
        """Return a command as it is, or when it has ended."""
        query = "" if wait is None else f"?wait={wait}"
        answer: dict[str, Any] = await self.call("GET", f"/agents/{agent_id}/commands/{command_id}{query}")
        return answer

    async def agent(self, agent_id: str) -> dict[str, Any]:
        """Return an agent's detail."""
        answer: dict[str, Any] = await self.call("GET", f"/agents/{agent_id}")
        return answer

    async def cancel(self, agent_id: str, command_id: str) -> None:
        """Ask for a command to be ended."""
        await self.call("POST", f"/agents/{agent_id}/commands/{command_id}/cancel")

    async def new_key(self, *, uses: int | None = 1, approve: bool = True) -> str:
        """Make an enrolment key."""
        answer = await self.call("POST", "/enrolment-keys", {"uses": uses, "approve": approve})
        key: str = answer["key"]
        return key

    async def events(self, after: int) -> AsyncIterator[Happened]:
        """Give the events after a position as they come, until the stream ends. Raises ClientError."""
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._http.get(
            f"{self._url}/api/events?after={after}", headers=self.headers, timeout=timeout
        ) as response:
            response.raise_for_status()
            async for line in response.content:
                if line.startswith(b"data:"):
                    yield _decode(line.removeprefix(b"data:").strip())


def _decode(data: bytes) -> Happened:
    said = msgspec.json.decode(data)
    if "kind" not in said:
        return Happened(said["to"], 0.0, "missed", "", said)
    return msgspec.convert(said, Happened)


class Journal:
    """All that the center's event log has told since its beginning, without a gap or a repeat.

    It follows the log live, across restarts of the center, and is what tests wait on.
    """

    def __init__(self, api: Api, up: Up) -> None:
        self.all: list[Happened] = []
        self.kinds: defaultdict[str, list[str]] = defaultdict(list)
        self._api = api
        self._up = up
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def following(self) -> AsyncIterator["Journal"]:
        """Follow the log while the block runs."""
        async with Tasks("journal") as tasks:
            tasks.spawn("follow", self._follow())
            yield self

    async def _follow(self) -> None:
        while True:
            start = await self._up.wait()
            try:
                async for event in self._api.events(self.all[-1].position if self.all else 0):
                    await self._take(event)
            except aiohttp.ClientError:
                if self._up.is_up and self._up.starts == start:
                    raise

    def begin_anew(self) -> None:
        """Forget everything and read the log from its beginning: it is another one from here on."""
        self.all.clear()
        self.kinds.clear()

    async def _take(self, event: Happened) -> None:
        expected = self.all[-1].position + 1 if self.all else 1
        if event.kind != "missed" and event.position != expected:
            raise AssertionError(f"event {event.position} came where {expected} was due")
        async with self._changed:
            self.all.append(event)
            self.kinds[event.subject].append(event.kind)
            self._changed.notify_all()

    async def until(self, holds: Callable[["Journal"], bool], *, seconds: float = _PATIENCE) -> None:
        """Return once `holds(self)`. Raises AssertionError, with the newest events, when that takes long."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: holds(self))
        except TimeoutError:
            newest = "\n".join(f"  {e.position} {e.kind} {e.subject} {e.data}" for e in self.all[-25:])
            raise AssertionError(
                f"it did not happen within {seconds} s; the newest events:\n{newest}"
            ) from None

    async def until_kind(
        self, subject: str, kind: str, times: int = 1, *, seconds: float = _PATIENCE
    ) -> None:
        """Return once this has happened to `subject` that often."""
        try:
            await self.until(lambda journal: journal.kinds[subject].count(kind) >= times, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{subject}: no {kind}; {error}") from None

    def command_steps(self) -> int:
        """Count the steps that commands have taken."""
        return sum(event.kind.startswith("command.") for event in self.all)

    def has_begun(self, command_id: str) -> bool:
        """Tell whether a command was started. One that ends at once may never be shown as running."""
        return "command.running" in self.kinds[command_id] or bool(self.endings(command_id))

    async def until_begun(self, ids: Collection[str], count: int | None = None) -> None:
        """Return once these commands, or `count` of them, have begun."""
        wanted = len(ids) if count is None else count
        await self.until(lambda journal: sum(map(journal.has_begun, ids)) >= wanted)

    def endings(self, command_id: str) -> list[str]:
        """Return the final states that a command has come to: one, if all is well."""
        return [kind.removeprefix("command.") for kind in self.kinds[command_id] if kind in _FINAL_KINDS]

    async def until_ended(self, ids: Collection[str], *, seconds: float = _PATIENCE) -> None:
        """Return once all these commands have ended."""

        def left() -> list[str]:
            return [command_id for command_id in ids if not self.endings(command_id)]

        try:
            await self.until(lambda _: not left(), seconds=seconds)
        except AssertionError as error:
            told = "\n".join(f"  {command_id}: {self.kinds[command_id]}" for command_id in left()[:20])
            raise AssertionError(f"{len(left())} commands did not end:\n{told}\n{error}") from None
