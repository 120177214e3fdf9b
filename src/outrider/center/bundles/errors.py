"""What can go wrong with bundles, beside what `domain.bundles` names."""

from outrider.domain.errors import Conflict, NotFound, Unavailable


class InstallationUnfit(Conflict):
    """The center's own installation can't be made into a bundle; the detail says which file is why."""

    code = "installation_unfit"


class NoRegistry(Unavailable):
    """The package registry can't be reached, or pip, which asks it, is not there."""

    code = "no_registry"


class NoWheel(NotFound):
    """The registry has no wheel of a package for the Python and platform. `fields`: package."""

    code = "no_wheel"


class HashMismatch(Conflict):
    """A package is not the one that was locked: its hash is another."""

    code = "hash_mismatch"


class BundleInUse(Conflict):
    """Agents run the bundle, or it is the newest for its Python and platform."""

    code = "bundle_in_use"
