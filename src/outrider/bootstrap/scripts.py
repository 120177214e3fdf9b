"""The texts of what is put on a host besides the program: two scripts and a unit for systemd."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from outrider.bootstrap.layout import Layout

MARK: Final = "Made by Outrider's installer"
"""In each of these files: by it, one of ours is told from one that was there before."""

# The interpreter may be another one after an upgrade of the system: it is looked for at every start.
_LAUNCHER: Final = """\
#!/bin/sh
# {mark}: finds a python3 that is new enough and becomes the program under it.
for python in python3 python3.14 python3.13 python3.12 python3.11; do
  if "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec "$python" -I {program} "$@"
  fi
done
echo "outrider: there is no python3 of 3.11 or newer on this host any more" >&2
exit 1
"""

_SHIM: Final = """\
#!/bin/sh
# {mark}: the command line of the agent's version that runs.
exec {launcher} cli "$@"
"""

_UNIT: Final = """\
# {mark}. What is yours goes into a drop-in: systemctl edit {unit}
[Unit]
Description=Outrider agent
# A center by name is reached once there is a network; the agent itself waits for one as long as it takes.
Wants=network-online.target
After=network-online.target
# It restarts for as long as the host is up.
StartLimitIntervalSec=0

[Service]
Type=notify
# The agent's children are other people's commands: none of them speaks for it.
NotifyAccess=main
ExecStart={launcher} run
# In place: commands run on.
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
# It gives each command a cgroup of its own, with its limits.
Delegate=yes
# It ends its commands itself, with their results kept; those of one that died are ended by the next.
KillMode=process
TimeoutStopSec=30
# A command that eats all memory is ended, the agent is not ended with it.
OOMPolicy=continue
# Commands and the files that they hold open count here too.
TasksMax=infinity
LimitNOFILE=524288
# Keys in the kernel's keyring are not shared with other services of root.
KeyringMode=private
# Nothing more is taken away: commands inherit it, and would fail here though they work over SSH. So there
# is no ProtectSystem, ProtectHome, PrivateTmp, PrivateDevices, NoNewPrivileges, CapabilityBoundingSet,
# Restrict*, LockPersonality, MemoryDenyWriteExecute, SystemCallFilter or UMask. What the center may do on
# this host is bounded by the host's policy file.

[Install]
WantedBy=multi-user.target
"""


def launcher(layout: Layout) -> bytes:
    """The script that finds a Python and becomes the zipapp."""
    return _LAUNCHER.format(mark=MARK, program=shlex.quote(str(layout.program))).encode()


def shim(layout: Layout) -> bytes:
    """The script that is `outrider` in everybody's path."""
    return _SHIM.format(mark=MARK, launcher=shlex.quote(str(layout.launcher))).encode()


def unit(layout: Layout) -> bytes:
    """The unit of systemd."""
    return _UNIT.format(mark=MARK, unit=layout.unit.name, launcher=layout.launcher).encode()
