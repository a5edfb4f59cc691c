"""Runs one command in a cage of its own: standard library only, imports no pyfc. cage.py starts this file, and writes
what it is to do, as JSON, to its standard input.

    launcher      outside of the namespaces: waits, and ends everything when it is told to or the server dies
    first         the first process of the namespaces: builds their root; when it ends, the kernel ends all in them
    command       gives up every right, then becomes the program

Without namespaces there is no `first`, and the launcher hunts down what the command leaves. What goes wrong before the
program runs is told in one line to the descriptor `status`, which nobody in the cage has.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import enter
import kernel
import root

_NAMESPACES = kernel.NEWNS | kernel.NEWIPC | kernel.NEWUTS | kernel.NEWCGROUP | kernel.NEWPID
_KEPT = 3
"""Descriptors 0, 1 and 2 stay."""
_FAILED = 125


def main() -> None:
    """See module."""
    with os.fdopen(0, "rb", closefd=False) as file:
        order: dict[str, Any] = json.loads(file.read())
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    os.close(quiet)
    os.setsid()
    enter.go_first()
    status = order["status"]
    os.set_inheritable(status, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        child = _start(order)
    except OSError as error:
        _tell(status, error)
        os._exit(_FAILED)
    _wait(child, status)


def _start(order: dict[str, Any]) -> int:
    """Enter the namespaces and fork the first process in them, or the command itself."""
    _die_with_the_server()
    if order["mode"] in ("root", "user"):
        flags = _NAMESPACES | (0 if order["network"] else kernel.NEWNET)
        if order["mode"] == "user":
            kernel.unshare_user(flags, order["inside"])
        else:
            kernel.unshare(flags)
    elif kernel.LINUX:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        _guarded(order, _first if order["mode"] in ("root", "user") else _become)
    return child


def _die_with_the_server() -> None:
    parent = os.getppid()
    if kernel.LINUX:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(_FAILED)


def _guarded(order: dict[str, Any], step: Any) -> None:
    """In a child: whatever fails is told, and ends it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        step(order)
    except BaseException as error:
        _tell(order["status"], error)
    os._exit(_FAILED)


def _tell(status: int, error: BaseException) -> None:
    text = "%s: %s" % (error.filename, error.strerror) if isinstance(error, OSError) else repr(error)
    with contextlib.suppress(OSError):
        os.write(status, text.encode("utf-8", "replace")[:2000])


def _first(order: dict[str, Any]) -> None:
    """The first process of the namespaces."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if not order["network"]:
        kernel.raise_loopback()
    root.build(order["root"])
    kernel.drop_bounding_set()
    command = os.fork()
    if command == 0:
        _guarded(order, _become)
    if order["mode"] == "user":
        kernel.drop_capabilities()
    os.closerange(0, _KEPT)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == command:
            os._exit(_code(status))


def _become(order: dict[str, Any]) -> None:
    """Give up what rights there are, and be the program."""
    os.setsid()
    os.umask(0o022)
    has_namespaces = order["mode"] in ("root", "user")
    if order["mode"] == "user":
        kernel.unshare_user(0, order["inside"])  # in which nobody else's processes count
    for name, value in order["limits"].items():
        enter.limit(name, value)
    if order["mode"] == "root":
        os.setgroups([])
        os.setresgid(order["uid"], order["uid"], order["uid"])
        os.setresuid(order["uid"], order["uid"], order["uid"])
    os.chdir(order["folder"])
    for descriptor in order["doors"]:
        os.set_inheritable(descriptor, True)
    if kernel.LINUX:
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        if order["mode"] != "off":
            kernel.landlock(*(([], []) if has_namespaces else (order["read"], order["write"])))
        if order["filter"]:
            kernel.load_filter(base64.b64decode(order["filter"]))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the interpreter ignores it, and programs would inherit that
    os.execvpe(order["command"][0], order["command"], order["environment"])  # noqa: S606  what it is for


def _wait(child: int, status: int) -> None:
    """In the launcher: until the command has ended, or somebody says that it is to end. Then nothing of it is left."""

    def end(*_: object) -> None:
        """Told once by each thread of a server that dies, so also when there is no child any more."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    while True:
        pid, code = os.waitpid(-1, 0)
        if pid == child:
            break
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    while _kill_children():
        _reap()
    os._exit(_code(code))


def _reap() -> None:
    """Wait for a child, and take all others that have ended: each look for more of them reads all of /proc."""
    flags = 0
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, flags)[0]:
            flags = os.WNOHANG


def _kill_children() -> bool:
    """Whether there are any. What a process leaves comes to the launcher, which asks to be told (SUBREAPER)."""
    mine = str(os.getpid())
    found = False
    for name in os.listdir("/proc") if kernel.LINUX else ():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if name.isdigit():
                with open("/proc/%s/stat" % name, encoding="ascii", errors="replace") as file:
                    is_mine = file.read().rpartition(")")[2].split()[1] == mine
                if is_mine:
                    found = True
                    os.kill(int(name), signal.SIGKILL)
    return found


def _code(status: int) -> int:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    main()
