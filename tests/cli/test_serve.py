"""``precis serve``: what it refuses before it listens."""

from __future__ import annotations

import subprocess

from tests.e2e.serving import COMMAND, ROOT


def test_a_port_that_there_is_not_is_bad_usage() -> None:
    command = [*COMMAND, "serve", "--port", "99999"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--port" in done.stderr and "65535" in done.stderr
