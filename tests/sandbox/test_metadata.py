"""The addresses of cloud metadata, asked for in a network that has no way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyfc.sandbox.groups import Groups

PROGRAM = """
import json, os, socket, sys
from pathlib import Path
from pyfc.sandbox.inside import kernel
from pyfc.sandbox import metadata
kernel.unshare(kernel.NEWNET)
kernel.raise_loopback()
group = Path(sys.argv[1])
why = metadata.block(group.parent)
(group / "cgroup.procs").write_text("0")
found = {}
names = [(socket.AF_INET6, name) for name in (*metadata.METADATA_V6, "fd00:ec2::253", "fd00:ec2:1::254")]
for address in (*metadata.METADATA, "169.254.169.253"):
    names += [(socket.AF_INET, address), *((socket.AF_INET6, before + address) for before in ("::ffff:", "64:ff9b::"))]
for family, name in names:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as one:
                try:
                    one.sendto(b"x", (name, 80)) if kind == socket.SOCK_DGRAM else one.connect((name, 80))
                except OSError as error:
                    found[f"{name} {kind.name}"] = error.strerror
print(json.dumps([why, found]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may attach programs")
def test_the_addresses_are_blocked_and_their_neighbours_are_not() -> None:
    groups = Groups(f"pyfc-metadata-{os.getpid()}")
    groups.open()
    try:
        if groups.fence is None:
            pytest.skip("no control groups of version 2 are mounted")
        command = [sys.executable, "-c", PROGRAM, str(Path(groups.zygotes).parent)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    finally:
        groups.close()
    why, found = json.loads(done.stdout)

    assert why == ""
    assert len(found) == 30
    for name, text in found.items():
        blocked = not name.split()[0].endswith(("169.254.169.253", "fd00:ec2::253", "fd00:ec2:1::254"))
        assert text == ("Operation not permitted" if blocked else "Network is unreachable"), name
