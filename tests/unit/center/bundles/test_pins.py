"""The agent's locked packages."""

import pytest

from outrider.center.bundles.installed import Installation, target_here
from outrider.center.bundles.pins import Pin, pins_for, read_pins
from outrider.domain.bundles import BundleTarget

_LOCK = """\
aiohttp==3.1 ; sys_platform == 'linux' \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
    # via outrider (pyproject.toml)
typing.Extensions==4.0 ; python_full_version < '3.13' and sys_platform == 'linux' \\
    --hash=sha256:{a}
only-arm==1 ; platform_machine == 'aarch64' \\
    --hash=sha256:{a}
only-windows==1 ; sys_platform == 'win32' \\
    --hash=sha256:{a}
""".format(a="a" * 64, b="b" * 64)


@pytest.mark.parametrize(
    ("python", "platform", "names"),
    [
        ("3.11", "linux-x86_64", ["aiohttp", "typing-extensions"]),
        ("3.12", "linux-aarch64", ["aiohttp", "only-arm", "typing-extensions"]),
        ("3.13", "linux-x86_64-musl", ["aiohttp"]),
        ("3.14", "linux-aarch64-musl", ["aiohttp", "only-arm"]),
    ],
)
def test_conditions_are_those_of_the_host(python: str, platform: str, names: list[str]) -> None:
    """Not of the Python that makes the bundle."""
    pins = read_pins(_LOCK, BundleTarget(python, platform))
    assert [pin.name for pin in pins] == names


def test_a_pin_says_what_pip_has_to_find() -> None:
    """Name, version, and every file that counts."""
    first = read_pins(_LOCK, BundleTarget("3.13", "linux-x86_64"))[0]
    assert first == Pin(first.name, "3.1", frozenset({"a" * 64, "b" * 64}))
    assert first.line == f"aiohttp==3.1 --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}"


def test_the_pins_are_all_that_an_agent_needs() -> None:
    """What is locked for this Python and platform is what is installed here for the agent."""
    installed = Installation().content().manifest.packages
    pins = {pin.name: pin.version for pin in pins_for(target_here())}
    assert pins == {name: version for name, version in installed.items() if name != "outrider"}
    assert all(pin.hashes for pin in pins_for(target_here()))
