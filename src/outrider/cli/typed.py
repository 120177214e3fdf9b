"""Commands that are not shell lines: their parameters as people type them, their answers as tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from outrider.cli.listing import Column, ago, show_facts, show_table
from outrider.domain.errors import Invalid
from outrider.kit.printable import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CONTAINERS: Final = ("{", "[")
_STATES: Final = {"running": "green", "zombie": "red", "waiting": "yellow", "stopped": "yellow"}
_ACTIVE: Final = {"active": "green", "failed": "red", "activating": "yellow", "deactivating": "yellow"}
_RESULTS: Final = {"runs": "red", "not_permitted": "red", "gone": "yellow"}
_UNIT: Final = 1024


def read_params(kind: str, words: Sequence[str]) -> dict[str, Any]:
    """Read parameters written as NAME=VALUE for a command of type `kind`.

    Values become what the type takes: numbers, true and false, JSON for lists and objects. Of a type that
    only a newer center knows they stay text. Raises Invalid, BadParams.
    """
    from outrider.domain.command_types import REGISTRY, parse_params

    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Invalid(f"A parameter is NAME=VALUE, not {word[:80]!r}.", field="params")
        given[name] = _value(value)
    if kind not in REGISTRY:
        return given
    typed = msgspec.to_builtins(parse_params(kind, given, strict=False))
    return {name: typed[name] for name in given}


def _value(text: str) -> Any:
    if text.startswith(_CONTAINERS):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


def answer_of(stdout: str | None) -> Any:
    """The answer that a command printed as JSON; None when it is none, or was cut."""
    try:
        return msgspec.json.decode(stdout or "")
    except msgspec.DecodeError:
        return None


def has_table(kind: str) -> bool:
    """Whether answers of this type are shown as a table, and so only once they are whole."""
    return kind in _TABLES


def show_answer(kind: str, stdout: str | None) -> None:
    """Show what a command of this type has answered: as a table, or as it is when it does not fit one."""
    answer = answer_of(stdout)
    if isinstance(answer, dict):
        try:
            _TABLES[kind](answer)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            # A newer agent may answer otherwise: then its own words are the best there is.
            pass
        else:
            return
    for line in (stdout or "").splitlines():
        sys.stdout.write(escape(line) + "\n")


def _processes(answer: Mapping[str, Any]) -> None:
    rows = [
        [
            str(each["pid"]),
            str(each["user"]),
            f"{each['cpu_percent']:.1f}",
            _size(each["rss_bytes"]),
            ago(each["started"]),
            str(each["state"]),
            str(each["command"] or f"[{each['name']}]"),
        ]
        for each in answer["processes"]
    ]
    columns = [Column(title, whole=True) for title in ("PID", "USER", "CPU%", "MEMORY", "STARTED")]
    columns += [Column("STATE", whole=True, styles=_STATES), Column("COMMAND")]
    show_table(columns, rows, empty="No processes.")
    _show_rest(answer, len(rows))


def _kill(answer: Mapping[str, Any]) -> None:
    rows = [
        [str(each["pid"]), str(each["user"]), str(each["name"]), str(each["result"])]
        for each in answer["processes"]
    ]
    columns = [Column("PID", whole=True), Column("USER", whole=True), Column("NAME")]
    show_table([*columns, Column("RESULT", whole=True, styles=_RESULTS)], rows, empty="No processes.")


def _services(answer: Mapping[str, Any]) -> None:
    rows = [
        [
            str(each["name"]),
            str(each["active"]),
            str(each["sub"]),
            str(each["enabled"]),
            str(each["pid"] or ""),
            _size(each["memory_bytes"]),
            str(each["description"]),
        ]
        for each in answer["services"]
    ]
    columns = [Column("NAME"), Column("ACTIVE", whole=True, styles=_ACTIVE), Column("SUB", whole=True)]
    columns += [Column(title, whole=True) for title in ("ENABLED", "PID", "MEMORY")]
    show_table([*columns, Column("DESCRIPTION")], rows, empty="No services.")
    _show_rest(answer, len(rows))


def _service(answer: Mapping[str, Any]) -> None:
    before, now = answer["before"], answer["service"]
    facts = {
        "service": now["name"],
        "description": now["description"],
        "active": f"{now['active']} ({now['sub']})",
        "since": "" if now["since"] is None else ago(now["since"]),
        "before": "" if answer["action"] == "status" else f"{before['active']} ({before['sub']})",
        "enabled": now["enabled"],
        "process": str(now["pid"] or ""),
        "memory": _size(now["memory_bytes"]),
        "result": "" if now["result"] == "success" else now["result"],
    }
    show_facts({name: value for name, value in facts.items() if value})


def _packages(answer: Mapping[str, Any]) -> None:
    upgradable = answer["show"] == "upgradable"
    titles = ("NAME", "VERSION", "AVAILABLE", "ARCH") if upgradable else ("NAME", "VERSION", "ARCH")
    rows = [[str(each.get(title.lower(), "")) for title in titles] for each in answer["packages"]]
    show_table([Column(title) for title in titles], rows, empty="No packages.")
    _show_rest(answer, len(rows))


def _show_rest(answer: Mapping[str, Any], shown: int) -> None:
    if answer["count"] > shown:
        sys.stderr.write(f"outrider: {shown} of {answer['count']} are shown\n")


def _size(count: int | None) -> str:
    """A number of bytes in its largest fitting unit."""
    if count is None:
        return ""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < _UNIT:
            return f"{size:.0f} {unit}"
        size /= _UNIT
    return f"{size:.1f} TiB"


_TABLES: Final[Mapping[str, Callable[[Mapping[str, Any]], None]]] = {
    "kill": _kill,
    "packages": _packages,
    "processes": _processes,
    "service": _service,
    "services": _services,
}
