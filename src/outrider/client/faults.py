"""What can go wrong between a client and its center, and problem answers read back into errors.

    Unavailable
    └── CenterAway          nothing answers at the center's address
    Unauthenticated
    └── SecondFactorRequired    the password was right; a code is needed as well
    Forbidden
    └── PasswordChangeRequired  nothing else goes before the password is changed
    Invalid
    └── TargetRefused           a target expression that can't be read, or that means nobody
    OutriderError
    ├── WrongCertificate    the center can't prove who it is
    ├── StrangeAnswer       what answers is no center, or one of another version
    └── CenterFault         the center failed; its log says more

Every other error is the one the center raised, found by its `code`.
"""

from http import HTTPStatus
from typing import Any, ClassVar, Final

import msgspec

from outrider.domain import deployments, errors, file_errors, host_keys, terminals


class CenterAway(errors.Unavailable):
    """Nothing answers at the center's address. `fields`: url, reason."""

    code: ClassVar[str] = "center_away"


class WrongCertificate(errors.OutriderError):
    """The center's certificate is not one we trust. `fields`: url, reason, and where known pinned, seen."""

    code: ClassVar[str] = "wrong_certificate"


class StrangeAnswer(errors.OutriderError):
    """The answer is not one this client understands. `fields`: url, reason."""

    code: ClassVar[str] = "strange_answer"


class CenterFault(errors.OutriderError):
    """The center failed while it worked on the request."""

    code: ClassVar[str] = "internal"


class SecondFactorRequired(errors.Unauthenticated):
    """The password is right, and a code of the second factor is needed as well."""

    code: ClassVar[str] = "second_factor_required"


class PasswordChangeRequired(errors.Forbidden):
    """The password was given out by an administrator and must be changed before anything else."""

    code: ClassVar[str] = "password_change_required"


class TargetRefused(errors.Invalid):
    """A target expression that can't be read, or that means nobody.

    `fields` of one that can't be read: position (in characters, from 0), length, expected.
    """

    code: ClassVar[str] = "invalid_target"


class Problem(msgspec.Struct, kw_only=True):
    """A problem document (RFC 9457) as far as a client reads it."""

    code: str
    detail: str = ""
    title: str = ""
    fields: dict[str, Any] = {}


_BY_CODE: Final[dict[str, type[errors.OutriderError]]] = {
    kind.code: kind
    for kind in (
        errors.Invalid,
        errors.UnknownType,
        errors.BadParams,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.HostAway,
        file_errors.PathRefused,
        file_errors.NotAFile,
        file_errors.NotAFolder,
        file_errors.FileBusy,
        file_errors.FileExists,
        file_errors.FolderNotEmpty,
        file_errors.FileChanged,
        file_errors.RangeNotSatisfiable,
        terminals.NoTerminal,
        terminals.TooManyTerminals,
        terminals.TerminalTaken,
        terminals.TerminalOver,
        host_keys.BadHostKey,
        deployments.SshKeyUnusable,
        deployments.SshDenied,
        deployments.SudoDenied,
        deployments.HostKeyRefused,
        deployments.DeployUnderWay,
        deployments.DeployCancelled,
        deployments.DeployInterrupted,
        deployments.DeployFailed,
        errors.NoSpace,
        errors.HostFault,
        errors.StreamLost,
        errors.TooLarge,
        errors.Throttled,
        errors.Unavailable,
        CenterFault,
        SecondFactorRequired,
        PasswordChangeRequired,
        TargetRefused,
    )
}
# Two codes, one thing to mend: the expression.
_BY_CODE["empty_target"] = TargetRefused

# For a code that a newer center knows and we do not: the status still says what kind of error it is.
_BY_STATUS: Final[dict[int, type[errors.OutriderError]]] = {
    HTTPStatus.BAD_REQUEST: errors.Invalid,
    HTTPStatus.UNAUTHORIZED: errors.Unauthenticated,
    HTTPStatus.FORBIDDEN: errors.Forbidden,
    HTTPStatus.NOT_FOUND: errors.NotFound,
    HTTPStatus.CONFLICT: errors.Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.TooLarge,
    HTTPStatus.TOO_MANY_REQUESTS: errors.Throttled,
    HTTPStatus.SERVICE_UNAVAILABLE: errors.Unavailable,
}

_OWN_WORDS: Final = frozenset({"self", "detail"})


def from_answer(status: int, body: bytes, *, url: str) -> errors.OutriderError:
    """Make the error that an answer with an error status stands for.

    A body that is no problem document came from something in between or from no center at all: that is
    CenterAway for the statuses of a gateway without its server, else StrangeAnswer.
    """
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        return _from_bare_status(status, url)
    kind = _BY_CODE.get(problem.code) or _BY_STATUS.get(status)
    if kind is None:
        kind = errors.Invalid if status < HTTPStatus.INTERNAL_SERVER_ERROR else CenterFault
    detail = problem.detail or problem.title or f"The center answered {status}."
    fields = {name: value for name, value in problem.fields.items() if name not in _OWN_WORDS}
    return kind(detail, **fields)


def _from_bare_status(status: int, url: str) -> errors.OutriderError:
    if status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT):
        return CenterAway(
            f"A proxy answers at {url}, but not the center behind it (HTTP {status}).",
            url=url,
            reason=f"HTTP {status}",
        )
    return StrangeAnswer(
        f"{url} answered HTTP {status} without saying why: is there an Outrider center at this address?",
        url=url,
        reason=f"HTTP {status}",
    )
