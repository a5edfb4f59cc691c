"""A program beside a running worker, in the same cage: standard library only, imports no pyfc.

    python -I -S shell.py HOST

HOST is the folder with `enter.py`. Standard input, output and error are the program's; descriptor 3 brings a JSON
object once this process stands in the worker's control groups: whose namespaces to enter, what to give up, what to run.

1. It enters by the worker's pidfd. The program is a child in the worker's process namespace, and dies with it.
2. From then on nothing is imported any more: in there every file may be the function's, and this process is still root.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from typing import Any

sys.path.insert(0, sys.argv[1])

import enter
import kernel

_KINDS = (
    ("user", kernel.NEWUSER), ("mnt", kernel.NEWNS), ("pid", kernel.NEWPID), ("ipc", kernel.NEWIPC),
    ("uts", kernel.NEWUTS), ("net", kernel.NEWNET),
)  # fmt: skip
_SPEC = 3
_TIOCSCTTY = 0x540E


def join(pid: int) -> None:
    """Enter the namespaces of that process; a child will be in its process namespace. Nothing can be imported after."""
    pidfd, kinds = os.pidfd_open(pid), _different(pid)
    sys.path[:], sys.meta_path[:] = [], []
    kernel.setns(pidfd, kinds)
    os.close(pidfd)


def _different(pid: int) -> int:
    """The kinds of namespaces of which that process has others than this one."""
    flags = 0
    for name, flag in _KINDS:
        if os.stat("/proc/self/ns/" + name) != os.stat(f"/proc/{pid}/ns/{name}"):
            flags |= flag
    return flags


def _run(spec: dict[str, Any], cage: enter.Cage) -> None:
    """In the child: give up what the worker has given up, and become the program."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    if spec["tty"]:
        fcntl.ioctl(0, _TIOCSCTTY, 0)
    os.chdir(spec["folder"])
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    cage.give_up(spec["wish"])
    name, environment = spec["command"][0], spec["environment"]
    folders = [""] if "/" in name else [folder + "/" for folder in environment["PATH"].split(":")]
    for folder in folders:
        try:
            os.execve(folder + name, spec["command"], environment)  # noqa: S606  that is what it is for
        except FileNotFoundError:
            continue
    raise FileNotFoundError(2, "there is no such program", name)


def main() -> int:
    """See module. The exit status is that of the program; 126 if it could not be run."""
    with os.fdopen(_SPEC, "rb") as file:
        spec = json.load(file)
    cage = enter.Cage(spec["profile"], spec["mode"], spec["missing"])
    try:
        if cage.has_namespaces:
            join(spec["pid"])
        child = os.fork()
        if not child:
            _run(spec, cage)
    except OSError as error:
        os.write(2, f"{error.filename or 'the shell'}: {error.strerror}\n".encode())
        os._exit(126)
    os.closerange(0, 3)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main())
