"""The child that carries one notice to one channel. It alone loads apprise.

It reads a `Task` as JSON from standard input, and writes an `Outcome` to standard output. The address comes
in there, so that it is in no list of processes; what is written has nothing of it.
"""

import logging
import re
import signal
import sys
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from outrider.domain.alerts.outages import NoticeKind
from outrider.domain.alerts.rules import Severity

_LOCAL: Final = frozenset({"dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
"""What apprise would do on the center's own machine: nobody is told by that."""
_LONGEST_LINE: Final = 300
_SHORTEST_SECRET: Final = 4
_SEPARATORS: Final = re.compile(r"[/:@?&=,;#%\s]+")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to send; without a title the address is only read. After `seconds` the child ends, done or not."""

    url: str
    title: str = ""
    body: str = ""
    kind: NoticeKind = NoticeKind.TEST
    severity: Severity = Severity.INFO
    seconds: float = 60.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: `error` is empty when all went well."""

    error: str = ""
    #: Whether the address can't be used at all: trying again won't help.
    is_refused: bool = False


def scrub(text: str, url: str) -> str:
    """Blank every part of an address in a text: each could be a token, also as it is without its escapes."""
    scheme, _, rest = url.partition("://")
    # Split first: a separator that is escaped is part of what it stands in.
    written = {rest, *re.split(r"[/:@?&=,;#\s]+", rest)}
    whole = written | {unquote(each) for each in written}
    parts = whole | {part for each in whole for part in _SEPARATORS.split(each)}
    parts = {each for each in parts if len(each) >= _SHORTEST_SECRET}
    for part in sorted(parts - {scheme}, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


class _Complaints(logging.Handler):
    """Keeps what apprise says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def carry(task: Task) -> Outcome:
    """Send it, waiting for the answer."""
    import apprise  # noqa: PLC0415 (it takes half a second and thirty megabytes)

    complaints = _Complaints()
    logger = logging.getLogger("apprise")
    logger.addHandler(complaints)
    logger.propagate = False
    # Not `add` with the text: that takes it apart into several addresses.
    channel = apprise.Apprise.instantiate(task.url)
    if channel is None:
        return Outcome(
            error="apprise can't read this address: see its list of services for how it is written.",
            is_refused=True,
        )
    if not _LOCAL.isdisjoint(_schemes(channel)):
        return Outcome(error="This tells nobody: it is on the center's own machine.", is_refused=True)
    if not task.title:
        return Outcome()
    channels = apprise.Apprise(channel)
    if channels.notify(title=task.title, body=task.body, notify_type=_type_of(task), body_format="text"):
        return Outcome()
    said = " ".join(complaints.lines) or "the service did not take it"
    return Outcome(error=scrub(said, task.url)[:_LONGEST_LINE])


def _schemes(channel: Any) -> set[str]:
    """Say by which schemes apprise knows what carries to a channel: one, several or none of either sort."""
    named = (channel.protocol, channel.secure_protocol)
    return {name for names in named for name in ((names,) if isinstance(names, str) else names or ())}


def _type_of(task: Task) -> str:
    match task.kind:
        case NoticeKind.RESOLVED:
            return "success"
        case NoticeKind.TEST | NoticeKind.RECOVERING:
            return "info"
        case _:
            return {Severity.INFO: "info", Severity.WARNING: "warning"}.get(task.severity, "failure")


def main() -> int:
    """Carry the task on standard input."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    # Whoever waits for this may be killed meanwhile; the alarm ends the process.
    signal.setitimer(signal.ITIMER_REAL, task.seconds)
    try:
        outcome = carry(task)
    except Exception as error:  # noqa: BLE001 (whatever a plugin of apprise raises is why it was not sent)
        outcome = Outcome(error=scrub(f"{type(error).__name__}: {error}", task.url)[:_LONGEST_LINE])
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
