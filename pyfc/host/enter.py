"""Runs in the child between fork and user code: standard library only, Python 3.9 syntax, imports no pyfc.

The zygote loads this file by its path. What it takes away can not be had back by the code that runs afterwards.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_LINUX = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None, use_errno=True) if _LINUX else None


def enter(limits: dict[str, int]) -> None:
    """Give the calling process its own session, its limits and, on Linux, no way to gain privileges.

    `limits`: hard and soft resource limits by the name after `RLIMIT_`. Raises OSError when the kernel refuses.
    """
    os.setsid()
    for name, value in limits.items():
        _limit(getattr(resource, "RLIMIT_" + name), value)
    if _LINUX:
        parent = os.getppid()
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent or parent == 1:
            os._exit(0)  # the zygote died before the signal was asked for
    os.umask(0o022)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _prctl(option: int, value: int) -> None:
    assert _libc is not None
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl(%d)" % option)
