"""For which Python and platform a bundle has to be made to run here."""

from __future__ import annotations

import importlib.machinery
import os
import struct
import sys
from dataclasses import dataclass
from typing import Final

_POINTER_OF_32_BITS: Final = 4
_INTEL_32: Final = frozenset({"i386", "i486", "i586", "i686"})


@dataclass(frozen=True, slots=True)
class Target:
    """A Python (`3.11`), a platform (`linux-x86_64`, with -musl for that C library) and the host's glibc.

    `glibc` is such as `2.36`, and empty where it is not known or there is none.
    """

    python: str
    platform: str
    glibc: str = ""

    @classmethod
    def here(cls) -> Target:
        """What the interpreter that runs this needs."""
        musl = any("musl" in suffix for suffix in importlib.machinery.EXTENSION_SUFFIXES)
        machine = machine_of(os.uname().machine, struct.calcsize("P"))
        return cls(
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            platform=f"linux-{machine}" + ("-musl" if musl else ""),
            glibc="" if musl else _glibc(),
        )

    @property
    def abi(self) -> str:
        """The tag of its Python, such as `cp311`."""
        return "cp" + self.python.replace(".", "")

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform}"


def machine_of(kernel: str, pointer_bytes: int) -> str:
    """The processor that a Python with such pointers needs bundles for, on a kernel's machine."""
    if kernel in _INTEL_32:
        return "i686"
    if pointer_bytes == _POINTER_OF_32_BITS:
        return {"x86_64": "i686", "aarch64": "armv7l"}.get(kernel, kernel)
    return kernel


def _glibc() -> str:
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        return ""
    return said.removeprefix("glibc ").strip()
