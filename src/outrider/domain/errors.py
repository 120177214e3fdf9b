"""What can go wrong, as one tree. Clients match on `code`; people read `detail`.

    OutriderError
    ├── Invalid              the request can't be understood or breaks a rule
    │   ├── UnknownType      a command type nobody knows
    │   └── BadParams        a command's parameters, with the field
    ├── Unauthenticated      no proof of who asks, or one that is not valid
    ├── Forbidden            who asks is known and may not
    ├── NotFound             the thing named does not exist
    ├── Conflict             the thing's state does not allow it
    │   └── HostAway         the host has no open link now
    │       └── HostPaused   its agent is paused
    ├── TooLarge             more bytes than are taken
    ├── NoSpace              the disk that should take it is full
    ├── Throttled            too many tries; says when to come back
    ├── Unavailable          a part that is needed is away; try again
    │   └── StreamLost       the connection to a host broke while it was used
    ├── HostFault            a host failed at what it was asked for, for no reason it can name
    └── LinkFault            the other side of a link broke the protocol
        ├── NoCommonVersion  the version ranges do not overlap
        └── LinkRefused      the center does not want this link

Neither HTTP status nor exit code is known here: each edge has one table from class to number.
Families that belong to one feature subclass these beside that feature.
"""

from collections.abc import Mapping
from itertools import islice
from math import isfinite
from typing import Any, ClassVar, Final


class OutriderError(Exception):
    """The root. `detail` is one sentence that says what to do; `fields` are facts for programs."""

    code: ClassVar[str] = "error"

    def __init__(self, detail: str, **fields: Any) -> None:
        """Keep the sentence for people and the facts for programs."""
        super().__init__(detail)
        self.detail = detail
        self.fields: Mapping[str, Any] = fields


class Invalid(OutriderError):
    """The request can't be understood or breaks a rule."""

    code = "invalid"


class UnknownType(Invalid):
    """A command type that is not in the registry. `fields`: type, known."""

    code = "unknown_type"


class BadParams(Invalid):
    """A command's parameters do not fit its type. `fields`: field, reason."""

    code = "bad_params"


class Unauthenticated(OutriderError):
    """No proof of who asks, or one that is not (or no longer) valid."""

    code = "unauthenticated"


class Forbidden(OutriderError):
    """Who asks is known and may not."""

    code = "forbidden"


class NotFound(OutriderError):
    """The thing named does not exist."""

    code = "not_found"


class Conflict(OutriderError):
    """The thing exists and its state does not allow what was asked."""

    code = "conflict"


class HostAway(Conflict):
    """The host has no open link now, and what was asked for needs one."""

    code = "host_away"


class HostPaused(HostAway):
    """Somebody on the host has paused its agent: it does nothing until that is over."""

    code = "host_paused"


class TooLarge(OutriderError):
    """More bytes than are taken. `fields`: limit."""

    code = "too_large"


class NoSpace(OutriderError):
    """The disk that should take what was sent is full, or the owner's share of it."""

    code = "no_space"


class Throttled(OutriderError):
    """Too many tries. `fields`: retry_after, in seconds."""

    code = "throttled"


class Unavailable(OutriderError):
    """A part that is needed is away for now; the same request may work later."""

    code = "unavailable"


class StreamLost(Unavailable):
    """The connection to a host broke, or the host fell silent, while it was used."""

    code = "stream_lost"


class HostFault(OutriderError):
    """A host failed at what it was asked for in a way nobody foresaw; its log says more."""

    code = "host_fault"


class LinkFault(OutriderError):
    """The other side of a link said something the protocol does not allow."""

    code = "link_fault"


class NoCommonVersion(LinkFault):
    """The two version ranges do not overlap. `fields`: ours, theirs."""

    code = "no_common_version"


class LinkRefused(LinkFault):
    """The center does not want this link. `fields`: reason, retry_after."""

    code = "link_refused"


_NEVER_TOLD: Final = (Unauthenticated, LinkFault)
_LONGEST_DETAIL: Final = 2_000
_MOST_FIELDS: Final = 50
_LONGEST_FIELD: Final = 2_000
_OWN_WORDS: Final = frozenset({"self", "detail"})


def told(code: str, detail: str, fields: Mapping[str, Any]) -> OutriderError:
    """Make the error that the other side of a stream has told of, by its code.

    A code nobody knows here, or one that would say something of who asks, becomes a `HostFault`. Of `fields`
    only what every answer can carry is kept: some short texts, finite numbers, and lists of these.
    """
    kind = _by_code(OutriderError, code)
    if kind is None or issubclass(kind, _NEVER_TOLD) or kind.__init__ is not OutriderError.__init__:
        kind = HostFault
    return kind(detail[:_LONGEST_DETAIL], **_facts(fields))


def _facts(fields: Mapping[str, Any]) -> dict[str, Any]:
    named = islice(fields.items(), _MOST_FIELDS)
    return {
        name[:_LONGEST_FIELD]: _cut(value)
        for name, value in named
        if name not in _OWN_WORDS
        and (_is_plain(value) or (isinstance(value, list) and all(_is_plain(each) for each in value)))
    }


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [_cut(each) for each in value[:_MOST_FIELDS]]
    return value[:_LONGEST_FIELD] if isinstance(value, str) else value


def _by_code(root: type[OutriderError], code: str) -> type[OutriderError] | None:
    if root.code == code:
        return root
    found = (_by_code(kind, code) for kind in root.__subclasses__())
    return next((kind for kind in found if kind is not None), None)
