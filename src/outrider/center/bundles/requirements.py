"""What packages say they need, read for one Python and platform."""

from collections.abc import Iterable, Iterator, Mapping

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from outrider.center.bundles.errors import InstallationUnfit
from outrider.domain.bundles import BundleTarget

Environment = Mapping[str, str]


def here() -> Environment:
    """Return what markers are compared with for the Python that runs this."""
    return {str(name): str(value) for name, value in default_environment().items()}


def on(target: BundleTarget) -> Environment:
    """Return what markers are compared with for another Python and platform."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{target.python}.0",
        "os_name": "posix",
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{target.python}.0",
        "python_version": target.python,
        "sys_platform": "linux",
    }


def needed(
    package: str, requirements: Iterable[str], extras: frozenset[str], environment: Environment
) -> Iterator[tuple[str, frozenset[str]]]:
    """Give the packages that one with these requirements needs, by normal name, each with the extras wanted.

    `extras` are those that are wanted of the package itself. Raises InstallationUnfit for what is none.
    """
    for text in requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement as error:
            raise InstallationUnfit(f"{package} asks for {text[:80]!r}, which is no requirement.") from error
        marker = wanted.marker
        if marker is None or any(
            marker.evaluate({**environment, "extra": extra}) for extra in ("", *sorted(extras))
        ):
            yield canonicalize_name(wanted.name), frozenset(wanted.extras)
