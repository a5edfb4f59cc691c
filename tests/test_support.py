"""What tests share: servers do not outlive who started them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support import wait_until

ENDS_WITHOUT_A_FAREWELL = """
import os, sys
from pathlib import Path
from support import Server

print(Server(Path(sys.argv[1]), Path(sys.argv[2])).process.pid, flush=True)
os._exit(1)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs descriptors of processes")
def test_a_server_ends_when_the_process_is_gone_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    command = [sys.executable, "-c", ENDS_WITHOUT_A_FAREWELL, str(tmp_path / "project"), str(tmp_path / "data")]
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])

    told = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=60, check=False
    )

    wait_until(lambda: not psutil.pid_exists(int(told.stdout)), "the end of the server")
