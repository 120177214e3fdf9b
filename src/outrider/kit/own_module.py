"""How a module of this program is started as a process of its own, wherever the program lies.

Installed by pip, `-m` finds it. A program that was only unpacked into a folder, started with nothing but that
folder on its path, is found by no interpreter that is not told where it is.
"""

import sys
from pathlib import Path
from typing import Final

_ROOT: Final = str(Path(__file__).resolve().parents[2])
_RUN: Final = (
    "import runpy,sys;"
    "_,root,name=sys.argv[:3];"
    "del sys.argv[1:3];"
    "sys.path.insert(0,root);"
    "runpy.run_module(name,run_name='__main__',alter_sys=True)"
)


def own_module(name: str) -> tuple[str, ...]:
    """Return the command that runs the module `name` in this interpreter; its arguments follow.

    It looks for modules where this program lies, before anywhere else; never in the working folder. An
    interpreter that was started in isolation (`-I`) or without the installed packages (`-S`) starts another
    of its kind.
    """
    flags = ["-I" if sys.flags.isolated else "-P"]
    if sys.flags.no_site:
        flags.append("-S")
    return (sys.executable, *flags, "-c", _RUN, _ROOT, name)
