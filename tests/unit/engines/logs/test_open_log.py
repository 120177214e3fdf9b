"""One open file of a log."""

import os

import pytest

from outrider.domain.errors import HostFault
from outrider.engines.logs.open_log import OpenLog


def test_a_disk_that_fails_is_told() -> None:
    """What the system says of reading becomes an error with the path in it."""
    # No disk fails on request; this file answers reads at 0 as a failing disk does.
    log = OpenLog(os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC), "/var/log/app.log")
    try:
        with pytest.raises(HostFault, match=r"/var/log/app\.log"):
            log.at(0, 10)
    finally:
        log.close()
