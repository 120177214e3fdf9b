"""Shell lines for hosts whose output is known beforehand."""

import random

from tests.acceptance.fleet import Errand


def quick(number: int) -> Errand:
    """Print a line and end."""
    return Errand(f"echo quick {number}", f"quick {number}\n")


def nap(seconds: float) -> Errand:
    """Print, sleep, print."""
    return Errand(f"echo before; sleep {seconds}; echo after", "before\nafter\n")


def chatty(lines: int) -> Errand:
    """Print many lines at once."""
    return Errand(f"seq 1 {lines}", _lines(1, lines))


def steady(rounds: int, pause: float, *, lines: int = 20, exit_code: int = 0) -> Errand:
    """Print some lines, pause, and so on."""
    line = (
        f"i=0; while [ $i -lt {rounds} ]; do seq $((i*{lines}+1)) $((i*{lines}+{lines})); "
        f"i=$((i+1)); sleep {pause}; done; exit {exit_code}"
    )
    return Errand(line, _lines(1, rounds * lines), exit_code)


def failing(exit_code: int) -> Errand:
    """Print and end with an exit code of its own."""
    return Errand(f"echo going; exit {exit_code}", "going\n", exit_code)


def sleeper() -> Errand:
    """Sleep longer than any test."""
    return Errand("sleep 600")


def stubborn() -> Errand:
    """Sleep with a child that can't be told to end, and itself can't either."""
    return Errand("trap '' TERM; (trap '' TERM; exec sleep 600) & trap '' TERM; sleep 600; wait")


def daemon() -> Errand:
    """Put a process into a session of its own, twice removed, and sleep."""
    return Errand("setsid -f sh -c 'trap \"\" TERM HUP; setsid -f sleep 600; exec sleep 600'; sleep 600")


def mixed(rng: random.Random, number: int) -> Errand:
    """Return one of a mix: quick, sleeping, chatty, failing, and a few with bulky output."""
    match rng.choices(["quick", "nap", "chatty", "steady", "failing", "bulky"], [40, 20, 20, 10, 6, 4])[0]:
        case "nap":
            return nap(round(rng.uniform(0.1, 1.5), 2))
        case "chatty":
            return chatty(rng.randint(100, 6000))
        case "steady":
            return steady(rng.randint(3, 8), 0.2, lines=rng.randint(5, 400))
        case "failing":
            return failing(rng.randint(1, 100))
        case "bulky":
            return chatty(rng.randint(20_000, 90_000))
        case _:
            return quick(number)


def _lines(first: int, last: int) -> str:
    return "".join(f"{number}\n" for number in range(first, last + 1))
