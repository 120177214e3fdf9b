"""The install script: one file that carries all that a host needs to know and trust its center.

POSIX sh. It holds the installer (compressed) and its settings, and writes nothing of either to the host's
disk: both go to Python through a pipe, and live in memory.
"""

import base64
import shlex
import zlib
from typing import Final

import msgspec

_SCRIPT: Final = r"""#!/bin/sh
# Installs the agent of the Outrider center at {center} on this host. Run it as root; needs python3 >= 3.11.
# All of it is one function, so that a download that was cut off does nothing.
outrider_install() {{
  set -eu
  word=install
  count=$#
  while [ "$count" -gt 0 ]; do
    argument=$1
    shift
    count=$((count - 1))
    case $argument in
      -h | --help)
        outrider_usage
        return 0
        ;;
      --uninstall) word=uninstall ;;
      *) set -- "$@" "$argument" ;;
    esac
  done
  if [ "$(id -u)" != 0 ]; then
    outrider_failed "an agent is installed as root: run this as root, such as with \`| sudo sh\` at its end"
    return 1
  fi
  python=
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
  if [ -z "$python" ]; then
    found=$(python3 --version 2>/dev/null) || found='no python3'
    outrider_failed "Python 3.11 or newer is needed, and here is $found. \
On Debian 12, Ubuntu 24.04 and newer: apt-get install python3"
    return 1
  fi
  outrider_parts | "$python" -I -c {loader} "$word" "$@"
}}

outrider_failed() {{
  echo "outrider: FAILED at preflight: $1" >&2
}}

outrider_usage() {{
  cat <<'END'
Installs the agent of the Outrider center at {center} on this host, or brings it up to date.
Run twice it changes nothing; what fails leaves nothing behind.

  --label NAME   the host's name at the center (else its own)
  --adopt        take over an agent that was started by hand: its identity, data and settings
  --home FOLDER  the data folder (else /var/lib/outrider)
  --json         tell of each step as a line of JSON
  --uninstall    take the agent off this host; with --keep-data without its identity and data
  --help         say this

Behind a pipe the options follow `-s --`:  ... | sh -s -- --label db-01
END
}}

# A here-document would be a file in /tmp, with bash, and that disk may be full.
outrider_parts() {{
  printf '%s\n' '{program}' '' '{settings}'
}}

outrider_install "$@"
"""
# Only what even python3-minimal has; what else is missing the installer itself can say.
_LOADER: Final = """
import base64, os, sys, zlib
program, settings = map(base64.b64decode, sys.stdin.buffer.read().split(b"\\n\\n"))
def kept(data):
    number = os.memfd_create("outrider", 0)
    with open(number, "wb", closefd=False) as file:
        file.write(data)
    return "/proc/self/fd/%d" % number
word = [kept(zlib.decompress(program)), sys.argv[1]]
if sys.argv[1] == "install":
    word += ["--settings", kept(settings)]
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.execv(sys.executable, [sys.executable, "-I", *word, *sys.argv[2:]])
"""
_LINE: Final = 100


class InstallSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the installer is told, as `bootstrap.request` reads it."""

    center_url: str
    ca_pem: str = ""
    enrolment_key: str = ""
    agent_key: str = ""
    agent_id: str = ""
    label: str = ""


def install_script(program: bytes, settings: InstallSettings) -> bytes:
    """Write the script around the installer (a zipapp) and its settings."""
    return _SCRIPT.format(
        center=settings.center_url,
        loader=shlex.quote(_LOADER),
        program=_lines(zlib.compress(program, 9)),
        settings=_lines(msgspec.json.encode(settings)),
    ).encode()


def _lines(data: bytes) -> str:
    text = base64.b64encode(data).decode("ascii")
    return "\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))
