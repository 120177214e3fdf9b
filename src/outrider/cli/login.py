"""`outrider login`: sign in to a center and remember it."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from cyclopts import Parameter

from outrider.cli import centers
from outrider.cli.app import make_app
from outrider.cli.centers import Centers, SavedCenter
from outrider.cli.prompts import ask_line, is_yes
from outrider.domain.enrolment import MalformedEnrolmentKey, check_pin
from outrider.domain.errors import Invalid, Unauthenticated
from outrider.kit.files import FileTooLarge, read_bounded
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, SignIn

DEFAULT_URL: Final = "http://127.0.0.1:8080"
_MAX_AUTHORITY: Final = 64 * 1024
_FIRST_USER: Final = "admin"


def command() -> App:
    """Make the command."""
    app = make_app("outrider login")
    app.default(login)
    return app


@Parameter(name="*")
@dataclass(frozen=True)
class Proof:
    """How the center is known to be the one that is meant."""

    ca: Annotated[Path | None, Parameter(help="File (PEM) with the authority to trust.")] = None
    pin: Annotated[
        list[str] | None,
        # A pin is base64url text: one in 64 begins with a hyphen.
        Parameter(help="Pin of the center's authority, as the center prints it.", allow_leading_hyphen=True),
    ] = None
    allow_plain: Annotated[
        bool, Parameter(help="Allow plain http to another machine: passwords cross the network readable.")
    ] = False


def login(
    url: Annotated[str | None, Parameter(help="The center's address.")] = None,
    /,
    *,
    username: Annotated[str | None, Parameter(name=["--username", "-u"], help="Who signs in.")] = None,
    password_stdin: Annotated[bool, Parameter(help="Read the password from standard input.")] = False,
    code: Annotated[
        str | None, Parameter(help="Code of the second factor, or a recovery code; else it is asked for.")
    ] = None,
    oidc: Annotated[
        str | None, Parameter(help="Sign in with this provider, in a browser on this machine.")
    ] = None,
    center: Annotated[
        str | None,
        Parameter(env_var="OUTRIDER_CENTER", help="Name to save the center under, or of a saved one."),
    ] = None,
    proof: Proof = Proof(),
) -> None:
    """Sign in to a center and remember it.

    Without URL it is the saved center that is current, or http://127.0.0.1:8080 when there is none. A center
    with a certificate authority of its own is known by that authority's pin: give it with --pin, or compare
    the one that is shown.
    """
    path = centers.default_path(os.environ)
    saved = centers.load(path)
    name, known = _choose(saved, url, center)
    door = _Door(known.url, allow_plain=proof.allow_plain or known.allow_plain)
    door.authority = _read_authority(proof.ca) if proof.ca else "" if proof.pin else known.authority
    door.know(_checked(proof.pin or []), may_ask=sys.stdin.isatty() and not password_stdin)
    if oidc is not None:
        opened = asyncio.run(door.login_with_provider(oidc))
    else:
        who, password = _credentials(username or known.username, password_stdin=password_stdin)
        opened = _sign_in(door, who, password, code, may_ask=sys.stdin.isatty() and not password_stdin)
    entry = SavedCenter(
        url=known.url,
        username=opened.user.username,
        token=opened.token,
        authority=door.authority,
        allow_plain=door.allow_plain,
    )
    centers.save(path, saved.with_center(name, entry))
    user = f"{opened.user.username} ({opened.user.role})"
    sys.stdout.write(f"Signed in to {known.url} as {escape(user)}; saved as {name}.\n")
    if opened.user.must_change_password:
        sys.stderr.write("outrider: the password was given out: change it with `outrider password` first.\n")


def _sign_in(door: _Door, who: str, password: str, code: str | None, *, may_ask: bool) -> SignIn:
    """Sign in, with a second factor where the center wants one. Raises Unauthenticated."""
    try:
        return door.login(who, password, code)
    except Unauthenticated as error:
        if error.code != "second_factor_required" or code is not None:
            raise
        if not may_ask:
            raise Unauthenticated(f"{error.detail} Give it with --code.") from None
    return door.login(who, password, ask_line("Code of the second factor, or a recovery code: "))


def _choose(saved: Centers, url: str | None, name: str | None) -> tuple[str, SavedCenter]:
    """Find which center is meant: what is known of it, and the name to save it under."""
    if url is None:
        wanted = name or saved.current
        if wanted and (found := saved.centers.get(wanted)):
            return wanted, found
        url = DEFAULT_URL
    url = url.rstrip("/")
    if name is not None:
        found = saved.centers.get(centers.check_name(name))
        # Under another address it is another center: what proved the first says nothing about it.
        return name, found if found and found.url == url else SavedCenter(url=url)
    for known_name, known in saved.centers.items():
        if known.url == url:
            return known_name, known
    return _free_name(saved, url), SavedCenter(url=url)


def _free_name(saved: Centers, url: str) -> str:
    host = urlsplit(url).hostname or "center"
    base = "local" if host in ("127.0.0.1", "localhost", "::1") else host.replace(":", "-").strip("-")[:56]
    name, number = base, 2
    while name in saved.centers:
        name, number = f"{base}-{number}", number + 1
    return centers.check_name(name)


def _read_authority(path: Path) -> str:
    try:
        return read_bounded(path, _MAX_AUTHORITY).decode("ascii")
    except (OSError, FileTooLarge, ValueError) as error:
        raise Invalid(f"--ca {path} can't be read: {error}.", field="ca") from None


def _checked(pins: list[str]) -> list[str]:
    parts = [part for pin in pins for part in pin.split("+")]
    for part in parts:
        try:
            check_pin(part)
        except MalformedEnrolmentKey as error:
            raise Invalid(f"--pin: {error}.", field="pin") from None
    return parts


class _Door:
    """The way in: first know the center, only then tell it a secret.

    Questions are asked between its steps, while no event loop runs: there Ctrl-C works at once.
    """

    def __init__(self, url: str, *, allow_plain: bool) -> None:
        """Name the center; nothing is asked of it yet."""
        self.url = url
        self.allow_plain = allow_plain
        #: PEM of the authority to trust; empty for the system's.
        self.authority = ""

    def know(self, pins: list[str], *, may_ask: bool) -> None:
        """Make sure that the center is the one that is meant. Raises WrongCertificate where that fails."""
        if not self.url.startswith("https:"):
            return
        if pins:
            self.authority = asyncio.run(self._authority_with(pins))
        elif not self.authority and (offered := asyncio.run(self._pins_to_confirm())):
            if not may_ask:
                asyncio.run(self._raise_what_is_wrong())
            _confirm_pins(self.url, offered)
            self.authority = asyncio.run(self._authority_with(offered))

    def login(self, username: str, password: str, code: str | None) -> SignIn:
        """Open a session."""
        return asyncio.run(self._login(username, password, code))

    async def login_with_provider(self, name: str) -> SignIn:
        """Open a session for whom the provider vouches for. Raises NotFound or Unauthenticated."""
        from outrider.cli.browser_sign_in import sign_in

        async with self._center() as center:
            return await sign_in(center, name)

    def _center(self) -> AsyncCenter:
        from outrider.client import AsyncCenter

        return AsyncCenter(self.url, authority=self.authority or None, allow_plain=self.allow_plain)

    async def _authority_with(self, pins: list[str]) -> str:
        async with self._center() as center:
            await center.trust_pins(pins)
            return center.authority or ""

    async def _pins_to_confirm(self) -> list[str]:
        """The pins of a center that the system's authorities do not vouch for."""
        async with self._center() as center:
            if await center.is_trusted():
                return []
            offered = [authority.pin for authority in await center.offered_authorities()]
            if not offered:
                await center.session()
            return offered

    async def _raise_what_is_wrong(self) -> None:
        async with self._center() as center:
            await center.session()

    async def _login(self, username: str, password: str, code: str | None) -> SignIn:
        async with self._center() as center:
            return await center.login(username, password, code=code)


def _credentials(username: str, *, password_stdin: bool) -> tuple[str, str]:
    if password_stdin:
        return username or _FIRST_USER, sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Invalid("There is no terminal to ask for the password: give it with --password-stdin.")
    username = username or ask_line(f"User name [{_FIRST_USER}]: ") or _FIRST_USER
    return username, getpass.getpass(f"Password of {username}: ")


def _confirm_pins(url: str, pins: list[str]) -> None:
    shown = "\n".join(f"    {pin}" for pin in pins)
    sys.stderr.write(
        f"The center at {url} has a certificate authority of its own. Its pin is\n\n{shown}\n\n"
        "Compare it with the pin that the center itself prints.\n"
    )
    if not is_yes("Is it the same, and shall it be trusted from now on?"):
        raise Invalid("Not signed in: the center's pin was not accepted.", field="pin")
