"""How a zygote finds out what its host allows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INSIDE = Path(__file__).parents[2] / "pyfc" / "sandbox" / "inside"
TRIED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import enter

def trial(profile, mode, answer):
    with open(sys.argv[2], "a") as file:
        file.write("x")
    if os.path.getsize(sys.argv[2]) <= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(answer, b'{"proc": "refused"}')
    os._exit(0)

enter._try = trial
print(enter._tried({}, "user"))
"""


@pytest.mark.parametrize(
    ("kills", "found"),
    [(0, "{'proc': 'refused'}"), (2, "{'proc': 'refused'}"), (9, "{'mode': 'the trial ended without a word'}")],
)
def test_a_trial_that_is_killed_by_chance_is_no_reason_to_be_locked_in_less(
    tmp_path: Path, kills: int, found: str
) -> None:
    command = [sys.executable, "-c", TRIED, str(INSIDE), str(tmp_path / "trials"), str(kills)]

    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert told.stdout.strip() == found
