"""What programs of custom runtimes may change, on kernels and file systems that can do less. The usual case:
tests/system/test_custom.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSIDE = Path(__file__).parents[2] / "pyfc" / "sandbox" / "inside"
ALLOWS = """
import os, sys
sys.path.insert(0, sys.argv[1])
import changes, kernel, root

def refused(*_):
    raise OSError(22, "Invalid argument")

exec(sys.argv[3])
kernel.unshare(kernel.NEWNS)
kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
kernel.bind(sys.argv[2], sys.argv[2])
for place in ("/var/cache", "/var/lib", "/var/log"):
    kernel.mount("tmpfs", place, "tmpfs", 0, "mode=755")
print(changes.allow(sys.argv[2], "mode=755,size=8m", 70001))
os.setresgid(70001, 70001, 70001)
os.setresuid(70001, 70001, 70001)
for act in ("open('f', 'w')", "os.chmod('sub/g', 0o600)", "os.rename('sub/g', 'sub/h')", "open('/var/lib/x', 'w')"):
    try:
        os.chdir(sys.argv[2])
        eval(act)
        print("yes")
    except OSError as error:
        print(type(error).__name__, error.errno)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("", ["True", "PermissionError 13", "yes", "yes", "yes"]),
        ("kernel.map_owners = refused", ["True", "PermissionError 13", "PermissionError 1", "yes", "yes"]),
        (
            "root.overlay = lambda *_: False",
            ["False", "OSError 30", "OSError 30", "OSError 30", "PermissionError 13"],
        ),
    ],
)
def test_what_a_kernel_refuses_leaves_files_or_all_as_they_were(
    tmp_path: Path, change: str, expected: list[str]
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("f", "sub/g"):
        (tmp_path / name).write_text("old")
        (tmp_path / name).chmod(0o444)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o111)

    told = subprocess.run(
        [sys.executable, "-c", ALLOWS, str(INSIDE), str(tmp_path), change], capture_output=True, text=True, timeout=60
    )

    assert told.stdout.split("\n")[:-1] == expected, told.stderr
    assert (tmp_path / "sub/g").read_text() == "old"
