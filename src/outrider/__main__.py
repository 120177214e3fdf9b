"""The program `outrider`.

It decides from the first word, before anything else is loaded: a daemon must not carry the CLI's libraries.
"""

import sys
from collections.abc import Sequence

_HELP = (["--help"], ["-h"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (None: the process's own) and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if _names_daemon(words, "agent"):
        from outrider.agent.app import main as agent

        return agent(words[1:])
    if _names_daemon(words, "center"):
        return _center(words[1:])
    from outrider.cli.entry import main as cli

    return cli(words)


def _names_daemon(words: Sequence[str], daemon: str) -> bool:
    """Tell whether the daemon itself is meant, not a word about it such as `outrider agent status`."""
    return words[:1] == [daemon] and words[1:] not in _HELP and (len(words) == 1 or words[1].startswith("-"))


def _center(words: Sequence[str]) -> int:
    try:
        from outrider.center.app import main as center
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("outrider.center."):
            raise
        sys.stderr.write(
            f"outrider: the center's parts are not installed ({error.name} is missing): "
            "install outrider[center].\n"
        )
        return 1
    return center(words)


if __name__ == "__main__":
    sys.exit(main())
