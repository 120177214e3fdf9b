"""The words of `./dev`: what each does, and what it makes sure of first."""

import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

from tools.dev import environment, packages
from tools.dev.bench import bench
from tools.dev.check import check
from tools.dev.console import build as build_console
from tools.dev.console import console_word
from tools.dev.failure import ChoreError
from tools.dev.lock import lock
from tools.dev.places import HOME, PROGRAMS, ROOT

_USAGE: Final = """\
usage: ./dev WORD

  up [...]                     start a center with this machine as its agent (data in .outrider/)
  test [--quick] [pytest ...]  run the tests; --quick leaves out those that need a system package
  check                        lint, format, types, imports, refusals
  bench [NAME ...]             run the benchmarks, or the named ones
  console [check|test|types|screenshots]
                               build the console, check it, test its logic, write the API's types, or
                               take pictures of its pages into build/screenshots
  lock [--upgrade]             pin the packages anew
"""
# One process a core for a whole run; suites of one group stay in one process, in the order given.
_IN_PARALLEL: Final = ("-n=auto", "--maxprocesses=4", "--dist=loadgroup", "--no-loadscope-reorder")


def main(arguments: list[str]) -> int:
    """Carry out one word; return the exit code."""
    word, *rest = arguments or ["--help"]
    if word in {"help", "--help", "-h"}:
        print(_USAGE, end="")
        return 0
    if word not in _WORDS:
        print(_USAGE, end="", file=sys.stderr)
        return 2
    try:
        return _WORDS[word](rest)
    except ChoreError as error:
        print(f"./dev {word}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _check(arguments: list[str]) -> int:
    if arguments:
        raise ChoreError("it checks everything and takes no arguments")
    environment.ensure()
    return check()


def _console(arguments: list[str]) -> int:
    environment.ensure()
    return console_word(arguments)


def _bench(arguments: list[str]) -> int:
    environment.ensure()
    return bench(arguments)


def _up(arguments: list[str]) -> NoReturn:
    environment.ensure()
    build_console()
    os.environ.setdefault("OUTRIDER_HOME", str(HOME))
    _become("outrider", "up", *arguments)


def _test(arguments: list[str]) -> NoReturn:
    quick = "--quick" in arguments
    narrowed = [argument for argument in arguments if argument != "--quick"]
    environment.ensure()
    if not quick:
        packages.ensure(packages.TEST_PACKAGES)
        build_console()
    # A person's own settings must not decide what the tests see.
    for name in [name for name in os.environ if name.startswith("OUTRIDER_")]:
        del os.environ[name]
    # Tests start our programs a thousand times: what was compiled once is kept, wherever that is off.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.chdir(ROOT)
    selection = ("-m", "not system") if quick else ()
    # A narrowed run stays in one process: it starts sooner and can be debugged.
    _become("pytest", *selection, *(narrowed or _IN_PARALLEL))


def _become(program: str, *arguments: str) -> NoReturn:
    sys.stdout.flush()
    path = str(PROGRAMS / program)
    os.execv(path, [path, *arguments])


_WORDS: Final[dict[str, Callable[[list[str]], int]]] = {
    "up": _up,
    "test": _test,
    "check": _check,
    "bench": _bench,
    "console": _console,
    "lock": lock,
}
