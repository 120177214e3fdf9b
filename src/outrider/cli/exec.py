"""`outrider exec`: run a shell line on one host or on many, and see its output live."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from outrider.cli import exit_codes
from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.durations import parse_duration
from outrider.cli.listing import AsJson, show_json
from outrider.cli.naming import find_agent, name_of
from outrider.cli.targeting import PREVIEWED, confirm_many, single
from outrider.domain.command_types.process import MAX_TEXT
from outrider.domain.errors import Invalid, TooLarge
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import Agent, AsyncCenter, Sent


@Parameter(name="*")
@dataclass(frozen=True)
class Process:
    """How the line is run."""

    timeout: Annotated[str | None, Parameter(help="End it after this long: 90s, 20m.")] = None
    cwd: Annotated[str | None, Parameter(help="Folder to run it in.")] = None
    env: Annotated[list[str] | None, Parameter(name=["--env", "-e"], help="NAME=value; may be repeated.")] = (
        None
    )
    stdin: Annotated[bool, Parameter(help="Give it our standard input, read to its end first.")] = False
    user: Annotated[str | None, Parameter(help="User to run it as; the agent must be root.")] = None
    ttl: Annotated[str | None, Parameter(help="Give up if it can't start within this long.")] = None

    def refuse_for_type(self, kind: str) -> None:
        """Raise Invalid when something was asked for that only a shell line has."""
        for name in ("timeout", "cwd", "env", "stdin", "user"):
            if getattr(self, name):
                raise Invalid(f"--{name} is for a shell line; what {kind} takes is said as NAME=VALUE.")

    def params(self, line: str) -> dict[str, Any]:
        """The parameters of the `shell` command that runs this line. Raises Invalid or TooLarge."""
        given: dict[str, Any] = {
            "cwd": self.cwd,
            "user": self.user,
            "timeout": parse_duration(self.timeout, "--timeout") if self.timeout else None,
            "env": dict(_variable(text) for text in self.env) if self.env else None,
            "stdin": _read_stdin() if self.stdin else None,
        }
        return {"command": line} | {name: value for name, value in given.items() if value is not None}


@Parameter(name="*")
@dataclass(frozen=True)
class Display:
    """How what comes of it is shown."""

    raw: Annotated[bool, Parameter(help="Let output control the terminal; else only its colours pass.")] = (
        False
    )
    as_json: AsJson = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], help="No remarks on stderr.")] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Many:
    """What only matters where the target means many hosts."""

    concurrency: Annotated[int | None, Parameter(help="Hosts at a time; else all at once.")] = None
    max_failures: Annotated[
        str | None, Parameter(help="Begin no more after this many failures: 5, or 10%.")
    ] = None
    offline: Annotated[
        Literal["wait", "skip"] | None, Parameter(help="What hosts that are away now get: it later, or not.")
    ] = None
    group: Annotated[
        bool | None,
        Parameter(
            negative="--no-group",
            help="Equal outputs together and no live output; or live output alone. Else both, on a terminal.",
        ),
    ] = None
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask, however many hosts.")] = False

    def refuse_for_one(self) -> None:
        """Raise Invalid when something was asked for that one host by its name can't give."""
        for name in ("concurrency", "max_failures"):
            if getattr(self, name) is not None:
                option = "--" + name.replace("_", "-")
                raise Invalid(f"{option} is for a target that means many hosts, such as tag:web.")


def command() -> App:
    """Make the command."""
    app = make_app("outrider exec")
    app.default(execute)
    return app


def execute(
    target: Annotated[str, Parameter(help="Id, label or hostname; or an expression that means many.")],
    line: Annotated[
        str | None, Parameter(help="Line for the host's /bin/sh; with --type a parameter, NAME=VALUE.")
    ] = None,
    /,
    *words: Annotated[str, Parameter(help="More words, each kept whole; after --, options among them.")],
    kind: Annotated[
        str | None, Parameter(name="--type", help="Another command type than shell: processes, service...")
    ] = None,
    process: Process = Process(),
    many: Many = Many(),
    no_wait: Annotated[bool, Parameter(help="Send it, print its id and do not wait.")] = False,
    display: Display = Display(),
    where: Where | None = None,
) -> int:
    """Run a shell line on hosts: `outrider exec web-01 'df -h | head -3'`, `outrider exec tag:web uptime`.

    On one host its stdout and stderr go to ours as they come. A target such as `web-*`, `tag:web and not
    tag:db`, `web-01,web-02` or `all` means many hosts: each line then has its host's name before it, and
    equal outputs are shown together at the end.

    It ends with the exit code of the line, of many hosts the worst. 124: it ran into its time limit; 128+N:
    signal N ended it; 130: it was cancelled; 125: there is no exit code for another reason, which stderr
    tells. An offline host gets the command when it is back. Ctrl-C asks whether to cancel.

    With --type it is no shell line but another command, and the words are its parameters: `outrider exec
    web-01 --type service name=nginx action=restart`. Answers of one host are shown as tables.
    """
    one = single(target)
    errand = _errand(line, words, kind, process)
    ttl = parse_duration(process.ttl, "--ttl") if process.ttl else None
    if one is None:
        return _run_on_many(target, errand, ttl, many=many, no_wait=no_wait, display=display, where=where)
    many.refuse_for_one()

    async def run(center: AsyncCenter) -> int:
        found = await find_agent(center, one)
        sent = await center.send(found.id, errand.kind, errand.params, ttl=ttl)
        if no_wait:
            _show_sent(found, sent, display)
            return 0
        return await _wait(center, found, sent, errand, display)

    return ask(where, run)


@dataclass(frozen=True)
class _Errand:
    """What is to be sent: a type with its parameters, and its name for people."""

    kind: str
    params: dict[str, Any]
    shown: str


def _errand(line: str | None, words: tuple[str, ...], kind: str | None, process: Process) -> _Errand:
    """Read what is to be sent. Raises Invalid, TooLarge or BadParams."""
    if kind is None:
        if line is None:
            raise Invalid("Say what to run: a LINE for the shell, or --type.", field="line")
        text = line if not words else shlex.join((line, *words))
        return _Errand("shell", process.params(text), f"`{text[:60]}`")
    from outrider.cli.typed import read_params

    process.refuse_for_type(kind)
    given = words if line is None else (line, *words)
    return _Errand(kind, read_params(kind, given), " ".join((kind, *given))[:60])


def _run_on_many(
    target: str,
    errand: _Errand,
    ttl: float | None,
    *,
    many: Many,
    no_wait: bool,
    display: Display,
    where: Where | None,
) -> int:
    limit = read_limit(many.max_failures) if many.max_failures else None
    preview = ask(where, lambda center: center.preview_target(target, limit=PREVIEWED))
    confirm_many(preview, errand.shown, yes=many.yes)
    away = preview.by_status.get("offline", 0)

    async def run(center: AsyncCenter) -> int:
        dispatch = await center.dispatch(
            target,
            errand.kind,
            errand.params,
            concurrency=many.concurrency,
            max_failures=limit,
            ttl=ttl,
            offline=many.offline,
        )
        if no_wait:
            if display.as_json:
                show_json(dispatch)
            else:
                sys.stdout.write(dispatch.id + "\n")
            return 0
        if away and not display.quiet and many.offline != "skip":
            sys.stderr.write(
                f"outrider: {away} of {preview.count} hosts are offline: the command is queued until they "
                "are back (--offline skip leaves them out)\n"
            )
        from outrider.cli.dispatching import DispatchFollower, Style

        style = Style(group=many.group, as_json=display.as_json, quiet=display.quiet)
        return await DispatchFollower(center, dispatch, style).follow()

    return ask(where, run)


def read_limit(text: str) -> int | str:
    """Read how many failures are allowed: a number, or a share such as `10%`. Raises Invalid."""
    if text.isascii() and text.isdigit():
        return int(text)
    share = text.removesuffix("%")
    if share != text and share.isascii() and share.isdigit() and int(share) <= 100:  # noqa: PLR2004 - per cent
        return text
    raise Invalid(f"--max-failures takes a number or a share such as 10%, not {text[:80]!r}.")


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Invalid(f"--env takes NAME=value, not {text[:80]!r}.", field="env")
    return name, value


def _read_stdin() -> str:
    data = sys.stdin.buffer.read(MAX_TEXT * 4 + 1)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Invalid("--stdin takes text in UTF-8; this is something else.", field="stdin") from None
    if len(text) > MAX_TEXT:
        raise TooLarge(f"--stdin takes {MAX_TEXT} characters at most.", limit=MAX_TEXT)
    return text


def _show_sent(agent: Agent, sent: Sent, display: Display) -> None:
    if display.as_json:
        show_json(sent)
        return
    sys.stdout.write(sent.command_id + "\n")
    if not display.quiet and sys.stderr.isatty():
        sys.stderr.write(f"outrider: see it with `outrider commands {agent.id} {sent.command_id} --follow`\n")


async def _wait(center: AsyncCenter, agent: Agent, sent: Sent, errand: _Errand, display: Display) -> int:
    from outrider.cli.following import Follower, Printer
    from outrider.cli.typed import answer_of, has_table, show_answer

    as_table = has_table(errand.kind) and not display.raw
    printer = Printer(raw=display.raw, mute=display.as_json or as_table, quiet=display.quiet)
    if agent.status != "online":
        until = "it is approved" if agent.status == "pending" else "it is back"
        printer.remark(f"{name_of(agent)} is {agent.status}: the command is queued until {until}")
    command = await Follower(center, agent, sent.command_id, printer).follow()
    if errand.kind != "shell" and command.truncated:
        command = await center.command(agent.id, command.id)  # as it ended, its output is shown in part only
    if display.as_json:
        answer = answer_of(command.stdout) if errand.kind != "shell" else None
        show_json(command if answer is None else {**msgspec.structs.asdict(command), "answer": answer})
        return exit_codes.of_command(command)
    if as_table and command.stdout:
        show_answer(errand.kind, command.stdout)
    if command.reason and command.status != "succeeded":
        printer.remark(f"{command.status}: {escape(command.reason)}")
    elif command.status not in ("succeeded", "failed"):
        printer.remark(f"the command ended as {command.status}")
    elif command.reason and errand.kind != "shell":
        printer.remark(escape(command.reason))
    return exit_codes.of_command(command)
