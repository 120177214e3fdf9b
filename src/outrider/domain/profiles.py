"""Profiles: the settings that agents get from the center, as free NAME=value parameters.

Every profile inherits from the default one: what it sets itself counts before that, and what neither sets
is as the known parameter's own default says. Known parameters are checked when they are set; what they mean
is the business of whoever asks for them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from outrider.domain.errors import Invalid
from outrider.domain.ids import ProfileId

T = TypeVar("T")

MAX_PARAMS: Final = 128
MAX_VALUE: Final = 1024
DEFAULT: Final = ProfileId("prof_00000000000000000000")
"""The profile that all others inherit from; a center has it from the start on."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(Generic[T]):
    """A known parameter. `read` raises ValueError, `rule` says what it takes, `means` what it does."""

    name: str
    default: T
    read: Callable[[str], T]
    rule: str
    means: str

    def of(self, params: Mapping[str, str]) -> T:
        """Return its value among `params`; its default when they do not set it. Raises ValueError."""
        text = params.get(self.name)
        return self.default if text is None else self.read(text)


_TRUTHS: Final = {"true": True, "false": False}
_LAST_PORT: Final = 65_535


def _truth(text: str) -> bool:
    if text not in _TRUTHS:
        raise ValueError(text)
    return _TRUTHS[text]


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_LAST_PORT))):
        raise ValueError(text)
    if not 1 <= int(text) <= _LAST_PORT:
        raise ValueError(text)
    return int(text)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return read


CLIENT_API_ENABLED: Final = Parameter(
    name="client_api_enabled",
    default=False,
    read=_truth,
    rule="true or false",
    means="The agent serves its client API on the loopback.",
)
CLIENT_API_PORT: Final = Parameter(
    name="client_api_port",
    default=3840,
    read=_port,
    rule=f"a port from 1 to {_LAST_PORT}",
    means="The client API's port.",
)
CLIENT_API_TOKEN_AUTH: Final = Parameter(
    name="client_api_token_auth",
    default=True,
    read=_truth,
    rule="true or false",
    means="Calls of the client API need its token.",
)
TERMINAL_RECORDING: Final = Parameter(
    name="terminal_recording",
    default="",
    read=_one_of("off", "output", "all"),
    rule="off, output or all",
    means="What of terminals is recorded; not set, it is the center's setting terminal_recording.",
)

KNOWN: Final[Mapping[str, Parameter[bool] | Parameter[int] | Parameter[str]]] = {
    each.name: each
    for each in (CLIENT_API_ENABLED, CLIENT_API_PORT, CLIENT_API_TOKEN_AUTH, TERMINAL_RECORDING)
}


def check_params(params: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters, checked. Raises `Invalid`, which names the parameter and what it takes."""
    if len(params) > MAX_PARAMS:
        raise Invalid(f"A profile has at most {MAX_PARAMS} parameters.", field="params")
    for name, value in params.items():
        _check(name, value)
    return dict(params)


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"The name of {name[:_SHOWN]!r} must be a letter, then letters, digits and _ . - (64 at most).",
            field="params",
        )
    known = KNOWN.get(name)
    if known is None:
        if name.casefold() in KNOWN:
            raise Invalid(
                f"There is no parameter {name!r}; did you mean {name.casefold()!r}?", field=f"params.{name}"
            )
        if len(value) > MAX_VALUE or not value.isprintable():
            raise Invalid(
                f"The value of {name} must be printable and up to {MAX_VALUE} characters.",
                field=f"params.{name}",
            )
        return
    try:
        known.read(value)
    except ValueError:
        raise Invalid(f"{name} takes {known.rule}, not {value[:_SHOWN]!r}.", field=f"params.{name}") from None


def inherited(default: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return what a profile comes to that inherits from the default one, by name."""
    return dict(sorted({**default, **own}.items()))


def merged(params: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Apply changes to a profile's own parameters; None removes one. Raises `Invalid`."""
    kept = {**params, **changes}
    return check_params({name: value for name, value in kept.items() if value is not None})
