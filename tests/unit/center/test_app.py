"""How a center is put together."""

import subprocess
import sys


def test_what_no_setting_chose_is_not_loaded() -> None:
    """On its defaults a center needs no PostgreSQL driver, object store or SSH: each costs megabytes."""
    code = "import sys, outrider.center.app; print(*{'asyncpg', 'obstore', 'asyncssh'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
