"""`outrider login`: sign in to a center and remember it."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from cyclopts import Parameter

from outrider.cli import centers
from outrider.cli.app import make_app
from outrider.cli.centers import Centers, SavedCenter
from outrider.domain.enrolment import MalformedEnrolmentKey, check_pin
from outrider.domain.errors import Invalid
from outrider.kit.files import FileTooLarge, read_bounded

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import AsyncCenter, SignIn

DEFAULT_URL: Final = "http://127.0.0.1:8080"
_MAX_AUTHORITY: Final = 64 * 1024


def command() -> App:
    """Make the command."""
    app = make_app("outrider login")
    app.default(login)
    return app


def login(
    url: Annotated[str | None, Parameter(help="The center's address.")] = None,
    /,
    *,
    username: Annotated[str | None, Parameter(name=["--username", "-u"], help="Who signs in.")] = None,
    password_stdin: Annotated[bool, Parameter(help="Read the password from standard input.")] = False,
    center: Annotated[
        str | None,
        Parameter(env_var="OUTRIDER_CENTER", help="Name to save the center under, or of a saved one."),
    ] = None,
    ca: Annotated[Path | None, Parameter(help="File (PEM) with the authority to trust.")] = None,
    pin: Annotated[
        list[str] | None, Parameter(help="Pin of the center's authority, as the center prints it.")
    ] = None,
    allow_plain: Annotated[
        bool, Parameter(help="Allow plain http to another machine: passwords cross the network readable.")
    ] = False,
) -> None:
    """Sign in to a center and remember it.

    Without URL it is the saved center that is current, or http://127.0.0.1:8080 when there is none. A center
    with a certificate authority of its own is known by that authority's pin: give it with --pin, or compare
    the one that is shown.
    """
    path = centers.default_path(os.environ)
    saved = centers.load(path)
    name, known = _choose(saved, url, center)
    attempt = _Attempt(
        known=known,
        username=username,
        password_stdin=password_stdin,
        authority=_read_authority(ca) if ca else "",
        pins=_checked(pin or []),
        allow_plain=allow_plain or known.allow_plain,
    )
    opened, authority = asyncio.run(attempt.sign_in())
    centers.save(
        path,
        saved.with_center(
            name,
            SavedCenter(
                url=known.url,
                username=opened.user.username,
                token=opened.token,
                authority=authority or "",
                allow_plain=attempt.allow_plain,
            ),
        ),
    )
    sys.stdout.write(
        f"Signed in to {known.url} as {opened.user.username} ({opened.user.role}); saved as {name}.\n"
    )


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


class _Attempt:
    """One attempt to sign in: first know the center, only then ask for the password."""

    def __init__(
        self,
        *,
        known: SavedCenter,
        username: str | None,
        password_stdin: bool,
        authority: str,
        pins: list[str],
        allow_plain: bool,
    ) -> None:
        self.allow_plain = allow_plain
        self._known = known
        self._username = username
        self._password_stdin = password_stdin
        self._authority = authority or ("" if pins else known.authority)
        self._pins = pins

    async def sign_in(self) -> tuple[SignIn, str | None]:
        """Open a session; returns it with the authority that proved the center."""
        from outrider.client import AsyncCenter

        async with AsyncCenter(
            self._known.url, authority=self._authority or None, allow_plain=self.allow_plain
        ) as center:
            if center.url.startswith("https:"):
                await self._know(center)
            username, password = await asyncio.to_thread(self._credentials)
            return await center.login(username, password), center.authority

    async def _know(self, center: AsyncCenter) -> None:
        """Make sure that the center is the one that is meant, before any secret is sent to it."""
        if self._pins:
            await center.trust_pins(self._pins)
            return
        if self._authority or await center.is_trusted():
            return
        offered = [authority.pin for authority in await center.offered_authorities()]
        if not offered or not sys.stdin.isatty() or self._password_stdin:
            # Asking again raises with what is wrong and what to do.
            await center.session()
            return
        if not await asyncio.to_thread(_confirm, center.url, offered):
            raise Invalid("Not signed in: the center's pin was not accepted.", field="pin")
        await center.trust_pins(offered)

    def _credentials(self) -> tuple[str, str]:
        if self._password_stdin:
            username = self._username or self._known.username or "admin"
            return username, sys.stdin.readline().rstrip("\r\n")
        if not sys.stdin.isatty():
            raise Invalid("There is no terminal to ask for the password: give it with --password-stdin.")
        username = self._username or self._known.username or _prompt("User name [admin]: ") or "admin"
        return username, getpass.getpass(f"Password of {username}: ")


def _confirm(url: str, pins: list[str]) -> bool:
    shown = "\n".join(f"    {pin}" for pin in pins)
    sys.stderr.write(
        f"The center at {url} has a certificate authority of its own. Its pin is\n\n{shown}\n\n"
        "Compare it with the pin that the center itself prints.\n"
    )
    return _prompt("Is it the same, and shall it be trusted from now on? [y/N]: ").lower() in ("y", "yes")


def _prompt(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
