"""The words of `outrider-agent.pyz`. Nothing is loaded before this Python is known to be whole enough."""

from __future__ import annotations

import sys

from outrider.bootstrap import parts

_USAGE = """\
usage: outrider-agent WORD

  run          become the agent: the version that is in place, or one that is tried
  keep         run it in the background, and again when it ends (where there is no systemd)
  stop         stop what `keep` runs
  cli ...      the command line of the version that is in place
  fetch        bring a version from the center, without running it
  install --settings FILE [--json] [--label NAME] [--adopt] [--home FOLDER]
  uninstall [--keep-data] [--json]
"""


def main(argv: list[str] | None = None) -> int:
    """Carry out one word; returns the exit code."""
    word, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if word in {"help", "--help", "-h"}:
        sys.stdout.write(_USAGE)
        return 0
    if lacking := parts.missing():
        _complain(parts.remedy(lacking), as_json="--json" in rest)
        return 1
    from outrider.bootstrap import words  # noqa: PLC0415 - it takes a whole Python to load them

    carry_out = words.WORDS.get(word)
    if carry_out is None:
        sys.stderr.write(_USAGE)
        return 2
    return carry_out(rest)


def _complain(text: str, *, as_json: bool) -> None:
    if as_json:
        # Without `json`, which may be what is missing; the text has nothing in it that needs care.
        sys.stdout.write('{"step": "preflight", "state": "failed", "detail": "' + text + '"}\n')
    else:
        sys.stderr.write(f"outrider: FAILED at preflight: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
