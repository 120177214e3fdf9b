"""What a host asks of its center before and beside the agent: its authority, an offer, a bundle.

Plain `http.client` and `ssl`: it works where nothing is installed. A connection trusts the center's own
authority when one is known, else the system's; a download goes on where it was cut off. Where the center
dials this host (listen mode), the agent that runs there gives a way to it: a socket that leads there.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import random
import re
import ssl
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from outrider.bootstrap.side_door import SideDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from outrider.bootstrap.target import Target

SILENCE_SECONDS: Final = 30.0
"""How long the center may say nothing at all before a connection to it is given up."""
TRIES: Final = 6
"""How often a download goes on after a cut without any progress in between."""
MAX_BUNDLE: Final = 200 * 1024 * 1024
_PIECE: Final = 256 * 1024
_MAX_ANSWER: Final = 64 * 1024
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 15.0
_SERVER_FAULT: Final = 500
_BUSY: Final = frozenset({408, 425, 429})
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PARTIAL: Final = ".part"


class CenterFault(Exception):
    """The center could not be asked, or said no; the text says why. `again`: trying again may help."""

    again = False


class CenterAway(CenterFault):
    """The center gave no usable answer."""

    again = True


class CenterUntrusted(CenterFault):
    """What answers is not the center that this host knows; nothing secret was said to it."""


class CenterRefused(CenterFault):
    """The center has answered with an error."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        """`code` is the problem's, empty where it was none; `detail` is for people."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.again = status >= _SERVER_FAULT or status in _BUSY


class WrongBytes(CenterFault):
    """What came is not what was offered; nothing of it was kept."""


class NotEnrolled(Exception):
    """This host has no key to show; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the center is, how it is known (PEM, None: by the system's authorities), and what is shown.

    With a side door the center is not dialled: that leads to it.
    """

    url: str
    ca_pem: bytes | None
    headers: Mapping[str, str] = field(repr=False)
    side: SideDoor | None = None

    @classmethod
    def of_agent(cls, folder: Path, *, side_door: str = "") -> Door:
        """The door of the agent whose own folder this is; `side_door` is its socket that leads to the center.

        Raises NotEnrolled.
        """
        record_file = folder / "enrolment.json"
        try:
            record = json.loads(record_file.read_bytes())
            url, agent_id, key = record["center_url"], record.get("agent_id"), record.get("agent_key")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotEnrolled(f"{record_file} can't be read: {error}") from None
        if not agent_id or not key or record.get("removed"):
            raise NotEnrolled(f"this host belongs to no center (any more), says {record_file}")
        try:
            ca_pem = (folder / "center-ca.pem").read_bytes()
        except FileNotFoundError:
            ca_pem = None
        side = SideDoor(Path(side_door), folder) if side_door else None
        return cls(url, ca_pem, {"X-Agent-Id": agent_id, "X-Agent-Key": key}, side)

    @classmethod
    def with_key(cls, url: str, ca_pem: bytes | None, enrolment_key: str) -> Door:
        """The door of a host that has an enrolment key and no agent yet."""
        return cls(url, ca_pem, {"X-Enrolment-Key": enrolment_key})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A bundle that the center has for a host."""

    version: str
    build: str
    name: str
    digest: str
    size: int
    python: str
    platform: str
    unpacked: int = 0


def offer(door: Door, target: Target, version: str = "") -> Offer:
    """Ask what the center has for `target`: the newest, or a `version` that it keeps.

    Raises CenterAway, CenterUntrusted or CenterRefused (code `no_bundle` when it has none).
    """
    asked = {"python": target.python, "platform": target.platform, "glibc": target.glibc, "version": version}
    query = urlencode({name: value for name, value in asked.items() if value})
    with _asked(door, f"/api/agents/bundle/offer?{query}", {}) as answer:
        said = _json(answer)
    try:
        offered = Offer(
            version=str(said["version"]),
            build=str(said["build"]),
            name=str(said["name"]),
            digest=str(said["digest"]),
            size=int(said["size"]),
            python=str(said["python"]),
            platform=str(said["platform"]),
            unpacked=int(said.get("unpacked", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CenterAway(f"{door.url} answered with no offer: {error!r}") from None
    if not _DIGEST.fullmatch(offered.digest) or not 0 < offered.size <= MAX_BUNDLE:
        raise CenterAway(f"{door.url} offers what can be no bundle: {offered.size} bytes")
    return offered


def download(
    door: Door,
    offered: Offer,
    folder: Path,
    say: Callable[[int, int], None] | None = None,
    *,
    pause: Callable[[float], None] | None = None,
) -> Path:
    """Bring the offered bundle into `folder` and return its file, whole and of the offered digest.

    What a try before this one had got is gone on with. `say(bytes so far, size)` is called as it comes; what
    waits between tries is `pause(seconds)`. When the center stays away, what came is kept for the next try.
    Raises CenterAway, CenterUntrusted, CenterRefused or WrongBytes, and OSError for the disk: then nothing is
    kept, because it may be what fills the disk.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f"{offered.digest}{_PARTIAL}"
    wait = pause or _pause
    resumed = part.exists()
    _fetch_all(door, offered, part, say or _no_one, wait)
    if not _is_right(part, offered) and resumed:
        # What was there from before may be what is wrong with it.
        part.unlink()
        _fetch_all(door, offered, part, say or _no_one, wait)
    if not _is_right(part, offered):
        part.unlink()
        raise WrongBytes(
            f"what came of {offered.name} is not what was offered: its SHA-256 is not {offered.digest}"
        )
    whole = folder / offered.digest
    part.replace(whole)
    return whole


def forget_downloads(folder: Path) -> None:
    """Remove what downloads have left, whole or not. Raises OSError."""
    if folder.is_dir():
        for left in folder.iterdir():
            if _DIGEST.fullmatch(left.name.removesuffix(_PARTIAL)):
                left.unlink()


def pinned_authority(url: str, pins: Collection[str]) -> bytes:
    """Ask for the center's authorities and return those that are pinned, as PEM.

    The connection proves nothing and nothing secret goes over it: only the pins decide. Raises CenterAway,
    CenterRefused, or CenterUntrusted when no certificate is pinned.
    """
    if not pins:
        raise ValueError("without pins no certificate authority can be recognised")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _asked(Door(url, None, {}), "/api/ca", {}, context) as answer:
        text = _body(answer, url).decode("ascii", "replace")
    shown = {pin_of(der): der for der in map(_der, _CERTIFICATE.findall(text)) if der}
    trusted = [der for pin, der in shown.items() if pin in pins]
    if not trusted:
        raise CenterUntrusted(
            f"{url} shows the authority {' and '.join(sorted(shown)) or 'nothing that reads as one'}, "
            f"expected is {' and '.join(sorted(pins))}: it is another center, or somebody sits in between"
        )
    return "".join(map(ssl.DER_cert_to_PEM_cert, trusted)).encode("ascii")


def pin_of(certificate_der: bytes) -> str:
    """The pin of a certificate: its SHA-256 as base64url without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate_der).digest()).decode("ascii").rstrip("=")


def _fetch_all(
    door: Door,
    offered: Offer,
    part: Path,
    say: Callable[[int, int], None],
    pause: Callable[[float], None],
) -> None:
    """Fetch until the file has its size; a cut is gone on with."""
    failures = 0
    while (got := _size(part)) < offered.size:
        try:
            _fetch_on(door, offered, part, got, say)
        except CenterFault as fault:
            if not fault.again:
                raise
            failures = 1 if _size(part) > got else failures + 1
            if failures >= TRIES:
                raise
            pause(min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE) * (0.5 + random.random() / 2))  # noqa: S311 - spreads tries


def _fetch_on(door: Door, offered: Offer, part: Path, got: int, say: Callable[[int, int], None]) -> None:
    headers = {"Range": f"bytes={got}-", "If-Range": f'"{offered.digest}"'} if got else {}
    with _asked(door, f"/api/agents/bundle/{offered.digest}", headers) as answer:
        if got and answer.status != http.client.PARTIAL_CONTENT:
            # It would rather begin anew.
            part.unlink()
            got = 0
        with part.open("ab", buffering=0) as file:
            os.fchmod(file.fileno(), 0o600)
            while piece := _piece(answer, door.url):
                got += len(piece)
                if got > offered.size:
                    raise WrongBytes(f"more than the offered {offered.size} bytes came of {offered.name}")
                _write(file, piece, part)
                say(got, offered.size)
    if got < offered.size:
        raise CenterAway(f"{door.url} ended the download after {got} of {offered.size} bytes")


def _write(file: RawIOBase, piece: bytes, part: Path) -> None:
    left = memoryview(piece)
    try:
        while left:
            left = left[file.write(left) or 0 :]
    except OSError:
        part.unlink()
        raise


def _is_right(part: Path, offered: Offer) -> bool:
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest() == offered.digest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _asked(
    door: Door, path: str, headers: Mapping[str, str], context: ssl.SSLContext | None = None
) -> Iterator[http.client.HTTPResponse]:
    """Ask, and give the answer while the block reads it. Raises the faults of this module."""
    url = _read_url(door.url)
    connection = _connection(url, door, context)
    with closing(connection):
        try:
            connection.request(
                "GET",
                url.path.rstrip("/") + path,
                headers={"Accept-Encoding": "identity", **door.headers, **headers},
            )
            answer = connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            raise CenterUntrusted(
                f"{door.url} shows a certificate that this host does not trust: {error.verify_message}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise CenterAway(f"{door.url} can't be reached: {_plainly(error)}") from None
        if answer.status not in (http.client.OK, http.client.PARTIAL_CONTENT):
            raise _refusal(answer, door.url)
        yield answer


def _connection(url: SplitResult, door: Door, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if door.side is not None:
        return _SideConnection(host, url.port, context or _trusting(door.ca_pem), door.side)
    if url.scheme == "http":
        return http.client.HTTPConnection(host, url.port, timeout=SILENCE_SECONDS)
    trusting = context or _trusting(door.ca_pem)
    return http.client.HTTPSConnection(host, url.port, timeout=SILENCE_SECONDS, context=trusting)


class _SideConnection(http.client.HTTPSConnection):
    """A connection by a side door: TLS from here to the center, as over one that was dialled."""

    def __init__(self, host: str, port: int | None, trusting: ssl.SSLContext, side: SideDoor) -> None:
        # The center asks for this host's certificate there, which then travels encrypted.
        trusting.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            trusting.load_cert_chain(side.identity / "identity.pem", side.identity / "identity.key")
        except OSError as error:
            raise CenterAway(f"this host's certificate can't be read: {_plainly(error)}") from None
        super().__init__(host, port, timeout=SILENCE_SECONDS, context=trusting)
        self._trusting = trusting
        self._side = side

    def connect(self) -> None:
        """Go to the center by the agent. Raises OSError."""
        connection = self._side.connect(SILENCE_SECONDS)
        try:
            self.sock = self._trusting.wrap_socket(connection, server_hostname=self.host)
        except BaseException:
            connection.close()
            raise


def _trusting(ca_pem: bytes | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if ca_pem is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        context.load_verify_locations(cadata=ca_pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise CenterUntrusted(f"the center's authority that this host keeps can't be read: {error}") from None
    return context


def _read_url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as error:
        raise CenterUntrusted(f"the center's address {text!r} is malformed: {error}") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise CenterUntrusted(f"the center's address must read https://name[:port], not {text!r}")
    return url


def _piece(answer: http.client.HTTPResponse, url: str) -> bytes:
    try:
        return answer.read1(_PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise CenterAway(f"the connection to {url} broke: {_plainly(error)}") from None


def _body(answer: http.client.HTTPResponse, url: str) -> bytes:
    body = b""
    while piece := _piece(answer, url):
        body += piece
        if len(body) > _MAX_ANSWER:
            raise CenterAway(f"{url} answered more than {_MAX_ANSWER} bytes: that is no center")
    return body


def _json(answer: http.client.HTTPResponse) -> Any:
    try:
        return json.loads(_body(answer, "the center"))
    except ValueError:
        return None


def _refusal(answer: http.client.HTTPResponse, url: str) -> CenterRefused:
    try:
        problem = _json(answer)
    except CenterAway:
        problem = None
    said = problem if isinstance(problem, dict) else {}
    detail = str(said.get("detail") or f"{url} answered HTTP {answer.status}")
    return CenterRefused(answer.status, str(said.get("code") or ""), detail[:2000])


def _plainly(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__


def _der(block: str) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(block)
    except ValueError:
        return b""


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _no_one(_got: int, _size: int) -> None:
    return
