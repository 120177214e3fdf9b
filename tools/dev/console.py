"""The console's chores: built when its sources have changed, checked, and its logic tested."""

import subprocess
from typing import Final

from tools.console.building import Console, ConsoleError, node_in
from tools.dev.failure import ChoreError
from tools.dev.places import PROGRAMS, ROOT, VENV

_TESTS: Final = ("vitest/vitest.mjs", "run", "--no-color")


def _console() -> Console:
    packages = next((VENV / "lib").glob("python3.*/site-packages"), VENV)
    return Console(ROOT, node_in(packages))


def build() -> None:
    """Build it when its sources have changed; where that can't be, say why and go on without."""
    console = _console()
    if console.is_current():
        return
    print("building the console", flush=True)
    try:
        console.build()
    except ConsoleError as error:
        print(f"{error}\nThe center starts without its console.", flush=True)


def types() -> None:
    """Write the API's types where the console's sources look for them. Raises ChoreError."""
    ended = subprocess.run([str(PROGRAMS / "python"), "-m", "tools.console.types"], check=False, cwd=ROOT)
    if ended.returncode != 0:
        raise ChoreError("the API's types could not be written")


def check() -> int:
    """Check its types, with those of the API as it is now, and test its logic; return 1 when either fails."""
    return _run(
        ("svelte-check/bin/svelte-check", "--fail-on-warnings", "--output", "human", "--no-color"),
        _TESTS,
    )


def test() -> int:
    """Run the tests of its logic; return 1 when one fails."""
    return _run(_TESTS)


def _run(*programs: tuple[str, ...]) -> int:
    types()
    console = _console()
    try:
        console.fetch()
        for program, *arguments in programs:
            console.run(program, *arguments)
    except ConsoleError as error:
        print(error)
        return 1
    return 0


def console_word(arguments: list[str]) -> int:
    """Do `./dev console [check | test | types | screenshots ...]`; without a word, build it."""
    match arguments:
        case []:
            types()
            try:
                needed = _console().build()
            except ConsoleError as error:
                raise ChoreError(str(error)) from error
            print("built" if needed else "it is built already")
            return 0
        case ["types"]:
            types()
            return 0
        case ["check"]:
            return check()
        case ["test"]:
            return test()
        case ["screenshots", *wanted]:
            build()
            script = [str(PROGRAMS / "python"), "-m", "tools.console.screenshots", *wanted]
            return subprocess.run(script, check=False, cwd=ROOT).returncode
        case _:
            raise ChoreError("it knows check, test, types, screenshots; without a word it builds")
