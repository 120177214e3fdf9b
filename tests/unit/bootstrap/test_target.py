"""For what a bundle has to be made is told alike by hosts and by the center."""

import sys

import pytest

from outrider.bootstrap.target import Target, machine_of
from outrider.domain.bundles import BundleTarget, python_here


def test_this_host_asks_for_what_the_center_can_read() -> None:
    """Its words are those of the center's own rules."""
    here = Target.here()
    parsed = BundleTarget.parse(here.python, here.platform)
    assert parsed.abi == here.abi == f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert here.python == python_here()
    assert str(parsed) == str(here)


@pytest.mark.parametrize(
    ("kernel", "pointer", "machine"),
    [
        ("x86_64", 8, "x86_64"),
        ("x86_64", 4, "i686"),
        ("i586", 4, "i686"),
        ("aarch64", 8, "aarch64"),
        ("aarch64", 4, "armv7l"),
        ("armv7l", 4, "armv7l"),
        ("riscv64", 8, "riscv64"),
    ],
)
def test_a_python_of_32_bits_asks_for_its_own(kernel: str, pointer: int, machine: str) -> None:
    """On a kernel of 64 bits as well."""
    assert machine_of(kernel, pointer) == machine
