"""SSH is loaded with the first deployment, not with the center."""

import subprocess
import sys


def test_a_center_that_never_deploys_does_without_ssh() -> None:
    """It takes half a second and 15 MB."""
    line = "import sys, outrider.center.app; sys.exit('asyncssh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
