"""What tests of the client against the real center share."""

from tests.fixtures.center import api, center

__all__ = ["api", "center"]
