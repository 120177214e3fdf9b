"""The bootstrap as one file: `outrider-agent.pyz`, made from the sources of this very package.

The same sources give the same bytes wherever it is made: by the center for a host that has nothing, and by
an agent after an update, for the launcher beside it. So nothing is deflated (each zlib has its own idea of
that), and no times are kept.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

_SHEBANG: Final = b"#!/usr/bin/env python3\n"
_PACKAGE: Final = "outrider/bootstrap"
# An old python3 is to get as far as this sentence: it can't even read the rest.
_MAIN: Final = b"""\
import sys

if sys.version_info < (3, 11):
    sys.exit("outrider: Python 3.11 or newer is needed; this is " + sys.version.split()[0])

from outrider.bootstrap.__main__ import main

sys.exit(main())
"""
_BARE: Final = b'"""Only as much of Outrider as a host needs before it has an agent."""\n'
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o100644 << 16


def program(package: Path | None = None) -> bytes:
    """Return the zipapp of the bootstrap package in the folder `package`; None: the one this is.

    Raises OSError when its sources can't be read.
    """
    folder = package or Path(__file__).resolve().parent
    sources = {f"{_PACKAGE}/{file.name}": file.read_bytes() for file in sorted(folder.glob("*.py"))}
    files = {"__main__.py": _MAIN, "outrider/__init__.py": _BARE, **sources}
    packed = io.BytesIO()
    packed.write(_SHEBANG)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = _MODE
            entry.create_system = 3
            archive.writestr(entry, content)
    return packed.getvalue()
