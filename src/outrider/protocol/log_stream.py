"""What is said on a stream of kind `logs`: what the center asks for, and what the agent says to it.

Lines come as bytes, cut into pieces anywhere: each is `position TAB object LF`, encoded at the agent once and
for all (engines/logs/events.py). Between lines come the messages below.
"""

import msgspec

KIND = "logs"


class JournalSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="journald"):
    """The systemd journal: all of it, or one unit's, up to a priority, from a moment (unix seconds) on."""

    unit: str = ""
    priority: int | None = None
    since: float | None = None


class FileSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="file"):
    """A file of the host, by its absolute path."""

    path: str


class FollowLogs(msgspec.Struct, frozen=True, kw_only=True):
    """The request: the last `lines` lines of a source, then those that are written while it is followed.

    Only lines that the pattern `grep` is found in count. `after` is a position to go on from instead.
    """

    source: JournalSource | FileSource
    lines: int
    grep: str = ""
    after: str = ""
    follow: bool = True


class LinesLeftOut(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="left_out"):
    """So many lines were not sent, since the center was too slow for them; it goes on after `at`."""

    lines: int
    at: str


class LogRemark(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="remark"):
    """Something happened to the log that is no line of it. `code` is stable, `detail` for people."""

    code: str
    detail: str


class LogPlace(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", tag="place"):
    """Nothing of the past is shown: lines come from after the position `at` on."""

    at: str


LogMessage = LinesLeftOut | LogRemark | LogPlace
