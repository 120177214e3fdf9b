"""The words of agent bundles: for which Python and platform one is, what it says of itself, how it is called.

A bundle is the agent with all that it needs, for one Python and one platform, in one archive without a folder
at its top: `bundle.json` (a `Manifest`) and `site/`, the one folder that the agent's Python looks into.
"""

import re
import sys
from typing import Final, Self

import msgspec

from outrider.domain.errors import Invalid, NotFound

FORMAT: Final = 1
"""The layout of bundles that this release makes and reads."""
MANIFEST: Final = "bundle.json"
SITE: Final = "site"
BUILD_DIGITS: Final = 12
MOST_MANIFEST: Final = 256 * 1024
"""Bytes of a manifest: one that says more is no bundle's."""

_PYTHON: Final = re.compile(r"3\.(1[1-9]|[2-9][0-9])")
_PLATFORM: Final = re.compile(r"linux-[a-z0-9_]{2,20}(-musl)?")
_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.!+_]{0,63}")
_BUILD: Final = re.compile(rf"[0-9a-f]{{{BUILD_DIGITS}}}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FILE: Final = re.compile(
    rf"outrider-agent-({_VERSION.pattern})-({_BUILD.pattern})-cp3([0-9]+)-({_PLATFORM.pattern})\.tar\.gz"
)


class BadTarget(Invalid):
    """No bundle can be for such a Python or platform. `fields`: field."""

    code = "bad_bundle_target"


class BadBundle(Invalid):
    """A file is no bundle, is cut off or changed, or has a format that this release does not read."""

    code = "bad_bundle"


class NoBundle(NotFound):
    """No bundle fits; the detail says which command makes one. `fields`: python, platform."""

    code = "no_bundle"


class BundleTarget(msgspec.Struct, frozen=True, order=True):
    """The Python (`3.11`) and the platform (`linux-x86_64`, `linux-aarch64-musl`) that a bundle is for."""

    python: str
    platform: str

    @classmethod
    def parse(cls, python: str, platform: str) -> Self:
        """Read both from text. Raises BadTarget, which says what they look like."""
        if not _PYTHON.fullmatch(python):
            raise BadTarget(
                f"{python[:20]!r} is no Python that agents run on: write 3.11 or newer.", field="python"
            )
        if not _PLATFORM.fullmatch(platform):
            raise BadTarget(
                f"{platform[:40]!r} is no platform: write linux-x86_64, linux-aarch64 or the like, "
                "with -musl at its end where the C library is musl.",
                field="platform",
            )
        return cls(python, platform)

    @classmethod
    def of_tag(cls, tag: str) -> Self:
        """Read it from how an agent writes it, such as `cp311-linux-x86_64`. Raises BadTarget."""
        abi, _, platform = tag.partition("-")
        return cls.parse(f"{abi[2:3]}.{abi[3:]}", platform)

    @property
    def abi(self) -> str:
        """The tag of its Python, such as `cp311`."""
        return "cp" + self.python.replace(".", "")

    @property
    def is_musl(self) -> bool:
        """Tell whether its C library is musl."""
        return self.platform.endswith("-musl")

    @property
    def machine(self) -> str:
        """The processor, as the kernel names it: `x86_64`, `aarch64`."""
        return self.platform.removeprefix("linux-").removesuffix("-musl")

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform}"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is called by."""

    #: Of the agent.
    version: str
    #: The first digits of a digest over all its files and what it is for: what tells two bundles apart.
    build: str
    python: str
    platform: str

    @property
    def target(self) -> BundleTarget:
        """What it is for."""
        return BundleTarget(self.python, self.platform)

    @property
    def folder(self) -> str:
        """The name of its folder on a host: `<version>-<build>-cp311`."""
        return f"{self.version}-{self.build}-{self.target.abi}"

    @property
    def file_name(self) -> str:
        """The name of its archive."""
        return f"outrider-agent-{self.folder}-{self.platform}.tar.gz"


class Manifest(Named, frozen=True, kw_only=True):
    """What a bundle says of itself in `bundle.json`.

    Its files are not listed: the digest of the whole archive covers them, and whoever takes a bundle compares
    that first.
    """

    format: int
    #: The lowest and the highest version of the link's protocol that the agent speaks.
    protocol: tuple[int, int]
    #: Each package that is in it, with its version.
    packages: dict[str, str]
    #: Bytes of its files once they are unpacked.
    unpacked: int
    #: The oldest glibc that its parts were built for, such as `2.28`; empty for musl.
    glibc: str = ""

    def encode(self) -> bytes:
        """Write it as `bundle.json`: the same manifest always gives the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=1) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read `bundle.json`. Raises BadBundle for what is none, or one of another format."""
        try:
            said = msgspec.json.decode(data, type=_Formatted)
            if said.format != FORMAT:
                raise BadBundle(
                    f"The bundle has format {said.format}; this release reads format {FORMAT}: "
                    "make it anew with the center's own release.",
                    format=said.format,
                )
            manifest = msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadBundle(f"The bundle does not say what it is: {error}.") from error
        manifest.check()
        return manifest

    def check(self) -> None:
        """Refuse names that can't be a bundle's. Raises BadBundle, or BadTarget for what it is for."""
        BundleTarget.parse(self.python, self.platform)
        if not _VERSION.fullmatch(self.version) or not _BUILD.fullmatch(self.build):
            raise BadBundle("The bundle's version or build is none.")


class _Formatted(msgspec.Struct):
    """As much of a manifest as every format has."""

    format: int


def parse_file_name(name: str) -> tuple[str, str, BundleTarget]:
    """Read version, build and target from the name of a bundle's archive. Raises BadBundle."""
    found = _FILE.fullmatch(name)
    if found is None:
        raise BadBundle(f"{name[:120]!r} is not the name of a bundle.")
    version, build, minor, platform = found.group(1, 2, 3, 4)
    return version, build, BundleTarget.parse(f"3.{minor}", platform)


def check_digest(text: str) -> str:
    """Return the digest of an archive: 64 hexadecimal digits. Raises BadBundle for another text."""
    if not _DIGEST.fullmatch(text):
        raise BadBundle("A bundle's digest is its SHA-256: 64 digits of 0-9 and a-f.", field="digest")
    return text


def python_here() -> str:
    """Return which Python runs this: `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
