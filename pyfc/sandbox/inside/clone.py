"""The one way in which a template makes a copy of itself: a raw clone, whose flags are the cage of the copy. Standard
library only, imports no pyfc. What the copy does next is in births.py, who judges it in examine.py.

The copy has a user, mount, process and IPC namespace of its own from its first instruction on, and is a child of the
template's parent. The template's filter (seccomp.py) lets these flags through and no others that make namespaces.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

NEWNS, NEWIPC, NEWUSER, NEWPID = 0x20000, 0x8000000, 0x10000000, 0x20000000
_PARENT, _SET_TID, _CLEAR_TID, _SIGCHLD = 0x8000, 0x1000000, 0x200000, 17
FLAGS = NEWNS | NEWIPC | NEWUSER | NEWPID | _PARENT | _SET_TID | _CLEAR_TID | _SIGCHLD
_NUMBERS = {"x86_64": 56, "aarch64": 220}
_NUMBER = _NUMBERS.get(platform.machine(), -1)
_GET_TID_ADDRESS = 40
_libc = ctypes.PyDLL(None, use_errno=True) if sys.platform.startswith("linux") else None
"""Calls by it keep the interpreter's lock, which the copy could not take again."""


def tid_address() -> int:
    """Where the C library keeps the number of this thread, which is another one in the copy. Raises OSError."""
    if _libc is None or _NUMBER < 0:
        raise OSError(38, "no number of clone is known for this system", "clone")
    address = ctypes.c_void_p()
    if _libc.prctl(_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) < 0 or not address.value:
        raise OSError(ctypes.get_errno(), "the kernel does not tell the thread's address", "prctl")
    return address.value


def bear(address: int) -> int:
    """A copy of this process, which must have one thread: 0 in the copy, 1 here. Raises OSError."""
    assert _libc is not None
    long, nothing = ctypes.c_long, ctypes.c_long(0)
    last = (long(address), nothing) if platform.machine() == "x86_64" else (nothing, long(address))
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = _libc.syscall(long(_NUMBER), long(FLAGS), nothing, nothing, *last)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    code = ctypes.get_errno()
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(code, os.strerror(code), "clone")
    return 1
