"""Which machine this is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from outrider.engines.telemetry.machine import boot_id, machine_digest, permanent_address

_ADDRESSES = {"eth0": "02fc00000001", "eth1": "02fc00000002", "usb0": "02fc00000003", "lo": "02fc00000004"}


def _address_of(card: str) -> str:
    return _ADDRESSES.get(card, "")


def _card(root: Path, name: str, device: str | None) -> None:
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True)
    if device is not None:
        (root / device).mkdir(parents=True, exist_ok=True)
        (folder / "device").symlink_to(root / device)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a machine with two cards, one of USB, and a loopback."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("abc\n")
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/product_uuid").write_text("UUID-1\n")
    _card(tmp_path, "eth0", "devices/pci0/a")
    _card(tmp_path, "eth1", "devices/pci0/b")
    _card(tmp_path, "usb0", "devices/pci0/usb1/c")
    _card(tmp_path, "lo", None)
    return tmp_path


def _new_machine_id(root: Path) -> None:
    (root / "etc/machine-id").write_text("def\n")


def _new_uuid(root: Path) -> None:
    (root / "sys/class/dmi/id/product_uuid").write_text("UUID-2\n")


def _card_gone(root: Path) -> None:
    (root / "sys/class/net/eth1/device").unlink()


@pytest.mark.parametrize("change", [_new_machine_id, _new_uuid, _card_gone])
def test_another_machine_has_another_digest(root: Path, change: Callable[[Path], None]) -> None:
    """Each of the three facts tells a copy from its source."""
    before = machine_digest(root, _address_of)
    change(root)
    assert machine_digest(root, _address_of) != before


def test_what_comes_and_goes_changes_nothing(root: Path) -> None:
    """Bridges, tunnels and USB cards, and the way the uuid is written, are no part of the machine."""
    before = machine_digest(root, _address_of)
    _card(root, "docker0", None)
    (root / "sys/class/net/usb0/device").unlink()
    (root / "sys/class/dmi/id/product_uuid").write_text("uuid-1")
    assert machine_digest(root, _address_of) == before


def test_a_bare_machine_has_a_digest(tmp_path: Path) -> None:
    """Where nothing can be read there is still an answer, the same each time."""
    assert machine_digest(tmp_path) == machine_digest(tmp_path)


def test_this_machine_is_the_same_each_time() -> None:
    """Two looks at the real machine agree, and the boot has a name."""
    assert machine_digest() == machine_digest()
    assert len(machine_digest()) == 64
    assert boot_id() == boot_id() != ""


def test_loopback_and_nothing_have_no_address() -> None:
    """A card without a burnt-in address, or no card at all, gives none."""
    assert permanent_address("lo") == ""
    assert permanent_address("none-such-card-at-all") == ""
