"""The look at a host before anything is changed on it: can an agent be installed, and what is there already.

It only reads. What it finds decides what an install does.
"""

from __future__ import annotations

import ipaddress
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from outrider.bootstrap import adopt, agent_settings, center, parts
from outrider.bootstrap.adopt import CannotTell, Found
from outrider.bootstrap.center import CenterFault, CenterRefused, Door, Offer
from outrider.bootstrap.keeper import holder_of
from outrider.bootstrap.layout import (
    DEFAULT_HOME,
    Installed,
    Layout,
    NotInstalled,
    RecordBroken,
    read_installed,
)
from outrider.bootstrap.steps import Report, StepFailed
from outrider.bootstrap.target import Target

if TYPE_CHECKING:
    from outrider.bootstrap.request import Request

OLDEST: Final = (3, 11)
_SPARE: Final = 24 * 1024 * 1024
"""Bytes that stay free: for the spool, and for whatever else lives on that disk."""
_GROWTH: Final = 5
"""An unpacked agent is at most so many times its archive."""
_NOT_KNOWN: Final = frozenset({401, 403, 404, 410})
"""How a center answers an agent that it does not know, or not by this key."""
_NO_BUNDLE: Final = "no_bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What was found: where things go, what is there, and how the center is spoken to."""

    layout: Layout
    target: Target
    installed: Installed | None
    """The installation that is there, whole or not."""
    adopted: Found | None
    """The agent by hand that is taken over."""
    settings: dict[str, Any]
    """What the agent of this host is told so far."""
    record: dict[str, Any]
    """Its enrolment; empty when it has none."""
    member: bool
    """Whether it is an agent of this very center."""
    ca_pem: bytes | None
    door: Door
    offered: Offer | None
    """What the center offers; None when it has nothing for this host, and a bundle was brought along."""


def look(request: Request, report: Report) -> Host:
    """Look at the host and ask the center. Raises StepFailed, which says what to do."""
    _check_python()
    if os.geteuid() != 0:
        raise StepFailed(
            "an agent is installed as root: run this as root, such as with `| sudo sh` at its end"
        )
    if not Path("/proc/self/fd").is_dir():
        raise StepFailed("/proc is not mounted on this host, and an agent can't work without it")
    _check_address(request.center_url)
    installed = _installed(request)
    settings = _settings(request, installed)
    home = request.home or Path(settings.get("home") or DEFAULT_HOME)
    adopted = _to_adopt(request, installed, home)
    if adopted is not None:
        home, settings = adopted.home, dict(adopted.settings)
    layout = installed.layout if installed is not None else Layout(prefix=request.prefix, home=home)
    record = _record(layout)
    if adopted is None:
        _refuse_stranger(layout, installed)
    target = Target.here()
    ca_pem = _authority(request)
    member, door, offered = _ask_center(request, layout, record, ca_pem, target)
    _check_room(layout, request, offered)
    if member and record.get("agent_id"):
        report.note(f"this host is {record['agent_id']} of this center already")
    return Host(
        layout=layout,
        target=target,
        installed=installed,
        adopted=adopted,
        settings=settings,
        record=record,
        member=member,
        ca_pem=ca_pem,
        door=door,
        offered=offered,
    )


def _check_python() -> None:
    if sys.version_info < OLDEST:
        raise StepFailed(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    if lacking := parts.missing():
        raise StepFailed(parts.remedy(lacking))


def _check_address(center_url: str) -> None:
    """Refuse an address where a key would travel for all to read. Raises StepFailed."""
    address = urlsplit(center_url)
    if address.scheme == "http" and not _is_loopback(address.hostname or ""):
        raise StepFailed(
            f"{center_url} is not encrypted, and this host's key would go over it: let the center listen "
            "over TLS (OUTRIDER_TLS_LISTEN), and get the line for this host anew"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _installed(request: Request) -> Installed | None:
    try:
        installed = read_installed(request.prefix)
    except NotInstalled:
        installed = None
    except RecordBroken as error:
        raise StepFailed(str(error)) from error
    if installed is None and request.prefix.exists() and any(request.prefix.iterdir()):
        raise StepFailed(
            f"{request.prefix} is there, and no install of ours has made it: move it away, or choose another"
        )
    if installed is not None and request.home not in (None, installed.layout.home):
        raise StepFailed(f"the agent that is installed here keeps its data in {installed.layout.home}")
    return installed


def _to_adopt(request: Request, installed: Installed | None, home: Path) -> Found | None:
    """The agent by hand that this install takes over. Raises CannotTell when that is not clear."""
    if installed is not None and installed.whole:
        return None
    found = [agent for agent in adopt.find() if request.home in (None, agent.home)]
    if request.adopt:
        return _chosen(found, home)
    # Others are in nobody's way: a host may have an agent for each of several centers.
    in_the_way = [agent for agent in found if agent.home == home and not agent.is_part_of_up]
    if in_the_way:
        raise CannotTell(
            f"an agent runs here already, started by hand (process {in_the_way[0].pid}, data in {home}): "
            "--adopt takes it over as it is"
        )
    return None


def _chosen(found: list[Found], home: Path) -> Found | None:
    if len(found) > 1:
        listed = "; ".join(f"process {agent.pid} with its data in {agent.home}" for agent in found)
        raise CannotTell(f"several agents run here: {listed}. Say which with --home")
    if found:
        adopt.check(found[0])
        return found[0]
    if not (home / "agent" / "enrolment.json").exists():
        raise CannotTell(
            "there is nothing to adopt: no agent runs on this host that was started by hand, and there are "
            f"no data of one in {home} (another place: --home)"
        )
    return None


def _settings(request: Request, installed: Installed | None) -> dict[str, Any]:
    """What the agent of this host is told so far, installed or not."""
    file = (installed.layout if installed is not None else Layout(prefix=request.prefix)).settings
    return agent_settings.read(file)


def _record(layout: Layout) -> dict[str, Any]:
    try:
        record = json.loads(layout.enrolment.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StepFailed(
            f"{layout.enrolment} can't be read ({error}): put it back from a backup, or remove it to join "
            "as a new agent"
        ) from error
    return record if isinstance(record, dict) else {}


def _refuse_stranger(layout: Layout, installed: Installed | None) -> None:
    """Refuse when somebody works in the data folder, and there is no installation of ours that could."""
    holder = holder_of(layout.lock)
    if holder is not None and installed is None:
        raise StepFailed(
            f"process {holder} works with the data in {layout.home}, and it can't be told what it is: "
            "stop it, or give this agent another place with --home"
        )


def _authority(request: Request) -> bytes | None:
    """The authorities that vouch for the center; None for those of the system."""
    if request.center_url.startswith("http:"):
        return None
    if request.ca_pem:
        return request.ca_pem.encode()
    if not request.pins:
        return None
    try:
        return center.pinned_authority(request.center_url, request.pins)
    except CenterFault as fault:
        raise StepFailed(_advised(fault)) from fault


def _ask_center(
    request: Request, layout: Layout, record: dict[str, Any], ca_pem: bytes | None, target: Target
) -> tuple[bool, Door, Offer | None]:
    """Who this host is to the center, and what it offers. Raises StepFailed."""
    if record.get("agent_id") and record.get("agent_key") and not record.get("removed"):
        door = Door(
            request.center_url,
            ca_pem,
            {"X-Agent-Id": record["agent_id"], "X-Agent-Key": record["agent_key"]},
        )
        try:
            return True, door, _offer(door, target, request)
        except CenterRefused as refused:
            if refused.status not in _NOT_KNOWN:
                raise StepFailed(_advised(refused)) from refused
        if record.get("center_url", "").rstrip("/") != request.center_url.rstrip("/"):
            raise StepFailed(
                f"this host belongs to another center, {record.get('center_url')}, as {record['agent_id']}: "
                "take it away there first (install script with --uninstall), or keep it"
            )
    door = _new_door(request, ca_pem, layout)
    try:
        return False, door, _offer(door, target, request)
    except CenterRefused as refused:
        raise StepFailed(_advised(refused)) from refused


def _new_door(request: Request, ca_pem: bytes | None, layout: Layout) -> Door:
    if request.agent_id and request.agent_key:
        return Door(
            request.center_url,
            ca_pem,
            {"X-Agent-Id": request.agent_id, "X-Agent-Key": request.agent_key},
        )
    if request.enrolment_key:
        return Door.with_key(request.center_url, ca_pem, request.enrolment_key)
    raise StepFailed(
        f"there is no key to join with, and no agent in {layout.home}: make one with `outrider keys new`"
    )


def _offer(door: Door, target: Target, request: Request) -> Offer | None:
    """What the center offers. Raises CenterRefused for a key it does not take, else StepFailed."""
    try:
        return center.offer(door, target)
    except CenterRefused as refused:
        if refused.code == _NO_BUNDLE:
            if request.bundle is not None:
                return None
            raise StepFailed(str(refused)) from refused
        raise
    except CenterFault as fault:
        raise StepFailed(_advised(fault)) from fault


def _advised(fault: CenterFault) -> str:
    if isinstance(fault, center.CenterAway):
        return f"{fault}. Does this host have a route to it, and does a firewall let it pass?"
    if isinstance(fault, center.CenterUntrusted):
        return f"{fault}. Nothing was said to it; get the line for this host from your center anew"
    return f"the center says: {fault}"


def _check_room(layout: Layout, request: Request, offered: Offer | None) -> None:
    if request.bundle is not None:
        packed = 0
        unpacked = _GROWTH * request.bundle.stat().st_size
    elif offered is not None:
        packed = offered.size
        unpacked = offered.unpacked or _GROWTH * offered.size
    else:
        return
    _check_disk(layout.prefix, packed + unpacked + _SPARE)
    _check_disk(layout.home, _SPARE)


def _check_disk(path: Path, needed: int) -> None:
    there = next(each for each in (path, *path.parents) if each.exists())
    facts = os.statvfs(there)
    free = facts.f_bavail * facts.f_frsize
    if free < needed:
        raise StepFailed(
            f"the disk of {path} is too full: {needed / 1e6:.0f} MB are needed there, "
            f"and {free / 1e6:.0f} MB are free"
        )
