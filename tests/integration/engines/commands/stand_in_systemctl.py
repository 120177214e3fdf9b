"""A systemctl without a systemd: units are JSON files in a folder, printed as the real one prints them.

`FOLDER/NAME` holds a unit's properties. `fails` there makes an action fail with that text, `hangs` makes it
take for ever. Every call is written down in `FOLDER.calls`.
"""

import fnmatch
import json
import signal
import sys
from pathlib import Path

FOLDER = Path(__file__).with_name("units")
UNIT_FILES = """\
on-disk.service       disabled enabled
template@.service     static   -
other-name.service    alias    -
"""
STATES = {
    "start": {"ActiveState": "active", "SubState": "running", "MainPID": "4711"},
    "stop": {"ActiveState": "inactive", "SubState": "dead", "MainPID": "0"},
    "restart": {"ActiveState": "active", "SubState": "running", "MainPID": "4712"},
}


def show(patterns: list[str], properties: list[str]) -> str:
    """Print as `systemctl show` does: of patterns what is loaded, of names also what is not there."""
    blocks = []
    for pattern in patterns:
        names = [unit.name for unit in sorted(FOLDER.iterdir()) if fnmatch.fnmatch(unit.name, pattern)]
        for name in names or ([] if "*" in pattern else [pattern]):
            unit = {"Id": name, "LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"}
            if (FOLDER / name).exists():
                unit = {"Id": name, **json.loads((FOLDER / name).read_text())}
            blocks.append("".join(f"{key}={unit[key]}\n" for key in properties if key in unit))
    return "\n".join(blocks)


def main(arguments: list[str]) -> int:
    """Do what is asked."""
    with FOLDER.with_suffix(".calls").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    words = [word for word in arguments if not word.startswith("--")]
    verb, names = words[0], words[1:]
    if verb == "show":
        (wanted,) = (word for word in arguments if word.startswith("--property="))
        sys.stdout.write(show(names, wanted.partition("=")[2].split(",")))
        return 0
    if verb == "list-unit-files":
        sys.stdout.write(UNIT_FILES)
        return 0
    (name,) = names
    unit = json.loads((FOLDER / name).read_text())
    if unit.pop("hangs", None):
        signal.pause()
    if failure := unit.pop("fails", None):
        sys.stderr.write(f"{failure}\n")
        return 1
    (FOLDER / name).write_text(json.dumps(unit | STATES[verb]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
