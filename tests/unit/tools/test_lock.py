"""What `./dev lock` writes is in step with itself."""

from tools.dev.places import AGENT_PINS, REQUIREMENTS


def test_the_pins_inside_the_package_are_the_locks() -> None:
    """A center makes bundles of exactly what this release was tested with."""
    assert AGENT_PINS.read_bytes() == (REQUIREMENTS / "agent.txt").read_bytes()
