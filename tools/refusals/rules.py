"""The rules. Each takes a file and gives what it refuses in it, in order of line."""

import ast
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tools.refusals.tree import File, Refusal

_NAMES_THAT_SAY_NOTHING: Final = re.compile(r"(utils?|helpers?|managers?|misc)")
_PINNED: Final = re.compile(r"[A-Za-z0-9._\[\]-]+==[A-Za-z0-9.!+]+( ; [^\\]+)? \\")
_HASHED: Final = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?")
_REMARK: Final = re.compile(r"\s*#(?!.*://).*|")
_NOQA: Final = re.compile(r"#\s*noqa\b(?P<rest>.*)")
_NOQA_WITH_REASON: Final = re.compile(r":\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*\s+\W*\w+.*")
_IGNORE: Final = re.compile(r"#\s*type:\s*ignore(?P<rest>.*)")
_IGNORE_WITH_REASON: Final = re.compile(r"\[[\w, -]+\]\s+#\s*\w+.*")
_OUTWARD: Final = re.compile(r"(?<![\w./])(?:\.\./)+(?P<name>[\w-]+)")


def vague_names(file: File) -> Iterator[Refusal]:
    """A module is named for what it does; a name that fits anything becomes a heap of everything."""
    if file.place.suffix not in {".py", ".ts", ".svelte"}:
        return
    for part in (*file.place.parts[:-1], file.place.stem):
        if _NAMES_THAT_SAY_NOTHING.fullmatch(part):
            yield Refusal(file.place, 0, f"`{part}` says nothing about what is in it")


def lock_lines(file: File) -> Iterator[Refusal]:
    """A lock holds pins and hashes only, so that it works with any index and nothing else is let in."""
    if file.place.parts[0] != "requirements" or file.place.suffix != ".txt":
        return
    for number, line in file.lines():
        if not (_PINNED.fullmatch(line) or _HASHED.fullmatch(line) or _REMARK.fullmatch(line)):
            yield Refusal(
                file.place, number, "a lock line is a pin, its hashes or a remark without an address"
            )


def npm_lock_entries(file: File) -> Iterator[Refusal]:
    """The lock of npm holds versions and hashes only, so that it works with any registry."""
    if file.place.name != "package-lock.json":
        return
    for name, entry in json.loads(file.text)["packages"].items():
        if name and ("resolved" in entry or not str(entry.get("integrity", "")).startswith("sha512-")):
            yield Refusal(file.place, 0, f"{name} has an address, or no hash; see console/.npmrc")


def undocumented_tests(file: File) -> Iterator[Refusal]:
    """Each test says which promise it checks."""
    if file.place.parts[0] != "tests" or file.place.suffix != ".py":
        return
    for node in ast.walk(ast.parse(file.text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("test") and not ast.get_docstring(node):
            yield Refusal(file.place, node.lineno, f"{node.name} does not say which promise it checks")


def unexplained_exceptions(file: File) -> Iterator[Refusal]:
    """A rule is switched off by its code and with the reason beside it."""
    if file.place.suffix != ".py":
        return
    for number, line in file.lines():
        for marker, complete in ((_NOQA, _NOQA_WITH_REASON), (_IGNORE, _IGNORE_WITH_REASON)):
            found = marker.search(line)
            if found and not complete.match(found["rest"]):
                yield Refusal(file.place, number, "name the rule's code and the reason behind it")


def ways_out(root: Path) -> Callable[[File], Iterator[Refusal]]:
    """Make the rule that the tree stands alone: no file points at what lies beside the checkout.

    A checkout in a folder that everybody shares has neighbours by chance: there nothing is refused.
    """
    shared = root.parent in {Path(root.anchor), Path(tempfile.gettempdir())}
    beside = set() if shared else {path.name for path in root.parent.iterdir()}
    names = "|".join(map(re.escape, sorted(beside)))
    absolute = re.compile(rf"(?<![\w./-]){re.escape(str(root.parent))}/({names})(?![\w-])")

    def rule(file: File) -> Iterator[Refusal]:
        if not beside:
            return
        for number, line in file.lines():
            if found := absolute.search(line):
                yield Refusal(file.place, number, f"`{found[0]}` is there on this machine only")
            for found in _OUTWARD.finditer(line):
                target = (root / file.place.parent / found[0]).resolve()
                inside = target.is_relative_to(root) and target.exists()
                if found["name"] in beside and not inside:
                    yield Refusal(file.place, number, f"`{found[0]}` leads out of the tree")

    return rule
