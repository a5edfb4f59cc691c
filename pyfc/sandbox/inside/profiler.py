"""A profiler beside a running worker, in the namespaces of its instance: standard library only, imports no pyfc.

    python -I -S profiler.py HOST PROFILE

HOST is the folder with `enter.py`. Standard input brings a JSON object in a line, which says whose namespaces to enter,
what to give up and what to do: `command`, a program outside of them that looks into the worker, or `socket`, where the
worker itself has a profiler. The descriptor PROFILE gets a line feed when it has begun, and the profile when standard
input has ended.

1. What looks into the worker has its user and sees no process but those of its instance. It has no network, and no more
   system calls than a function, but for those that read another process. Where the kernel lets nobody do that without
   a right (Yama) it has this one, CAP_SYS_PTRACE, and no other.
2. It dies with the worker, and with the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

sys.path.insert(0, sys.argv[1])

import enter
import kernel
import shell

_PROFILE = int(sys.argv[2])
_LOOK = 0.05
_GRACE = 100
"""Looks until what does not end is killed."""
_CHUNK = 65536
_LIMITS = {"CORE": 0, "NOFILE": 256, "DATA": 1024 * 1024 * 1024, "CPU": 120, "MEMLOCK": 0, "MSGQUEUE": 0, "RTPRIO": 0}
_FAILED = 126


def main() -> int:
    """See module. The exit status is that of what has looked; 126 if that could not begin."""
    with os.fdopen(0, "rb", closefd=False) as file:
        spec = json.loads(file.readline() or "{}")
    if not spec:
        return 0  # it is enough already, or the server is gone
    cage = enter.Cage(spec["profile"], spec["mode"], spec["missing"])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        door, number = socket.socket(socket.AF_UNIX), _number_inside(spec["pid"])
        program = os.open(spec["command"][0], os.O_RDONLY | os.O_CLOEXEC) if spec["command"] else -1
        shell.join(spec["pid"])
        child = os.fork()
        if not child:
            _look(spec, cage, program, door, number)
    except OSError as error:
        os.write(2, ("%s: %s" % (error.filename or "the profiler", error.strerror)).encode())
        os._exit(_FAILED)
    os.close(_PROFILE)
    return _wait(child)


def _number_inside(pid: int) -> str:
    """By which a process is known in its own namespace."""
    with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as file:
        return file.read().partition("NSpid:")[2].split("\n")[0].split()[-1]


def _look(spec: dict[str, Any], cage: enter.Cage, program: int, door: socket.socket, number: str) -> None:
    """In the child: give up what the worker has given up, and take the profile."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    os.chdir("/")
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kept = kernel.CAP_SYS_PTRACE if spec["needs_right"] else -1
    kernel.prctl(kernel.PR_SET_KEEPCAPS, int(spec["needs_right"]))
    cage.give_up({**spec["wish"], "limits": _LIMITS}, "profiler", kept)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # what the server has told it is not the function's to read
    if program < 0:
        _relay(door, spec["socket"])
    else:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # told already, it ends here
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.write(_PROFILE, b"\n")
        os.set_inheritable(_PROFILE, True)
        words = [word.format(pid=number, profile="/proc/self/fd/%d" % _PROFILE) for word in spec["command"]]
        os.execve(program, words, {"PATH": "/usr/bin:/bin"})  # noqa: S606  that is what it is for


def _relay(door: socket.socket, path: str) -> None:
    """Have the worker take its profile itself, until it is told that it is enough."""
    door.connect(path)
    os.write(_PROFILE, door.recv(1))  # it has begun
    signal.sigwait({signal.SIGINT})
    door.shutdown(socket.SHUT_WR)
    while data := door.recv(_CHUNK):
        while data:
            data = data[os.write(_PROFILE, data) :]
    os._exit(0)


def _wait(child: int) -> int:
    """Until the child has ended: by itself, or because it was told to when standard input had ended."""
    left = -1
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) & 0xFF
        if left < 0:
            ready, _, _ = select.select([0], [], [], _LOOK)
            if ready and not os.read(0, 1):
                left = _GRACE
                _signal(child, signal.SIGINT)
            continue
        select.select([], [], [], _LOOK)
        left -= 1
        if left <= 0:
            _signal(child, signal.SIGKILL)
            left = _GRACE


def _signal(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


if __name__ == "__main__":
    sys.exit(main())
