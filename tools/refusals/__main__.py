"""`python -m tools.refusals`: print what this tree refuses; exit with 1 when there is any."""

import sys
from pathlib import Path

from tools.refusals import rules
from tools.refusals.requirements import unlocked
from tools.refusals.tree import written


def main() -> int:
    """Apply every rule to every file of the tree."""
    root = Path(__file__).resolve().parents[2]
    every_rule = (
        rules.vague_names,
        rules.lock_lines,
        rules.npm_lock_entries,
        rules.undocumented_tests,
        rules.unexplained_exceptions,
        rules.ways_out(root),
    )
    refusals = [refusal for file in written(root) for rule in every_rule for refusal in rule(file)]
    refusals += unlocked(root)
    for refusal in refusals:
        print(refusal)
    return 1 if refusals else 0


sys.exit(main())
