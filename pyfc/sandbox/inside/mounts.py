"""Mounts that are made in one place and put into another mount namespace: standard library only, imports no pyfc.
Which there are is for enter.py and examine.py to say.

A mount made here is attached nowhere until `attach`; whoever holds its descriptor may enter another mount namespace in
between. Linux 5.2. Each function raises OSError naming the call.
"""

from __future__ import annotations

import os

import kernel

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_CLOEXEC = 1
_SET_STRING, _SET_FD, _CREATE = 1, 5, 6
_CLONE, _EMPTY_PATH, _HERE = 1, 4, -100
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8


def tmpfs(megabytes: int, inodes: int, *, executable: bool) -> int:
    """A new file system in memory that everybody may write to; its descriptor."""
    options = {"mode": "1777", "size": "%dm" % megabytes, "nr_inodes": str(inodes)}
    return _make("tmpfs", options, {}, _NOSUID | _NODEV | (0 if executable else _NOEXEC))


def processes(namespace: int) -> int:
    """The processes of the namespace with this descriptor, read-only. Not every kernel can (Linux 6.17)."""
    return _make("proc", {}, {"pidns": namespace}, _RDONLY | _NOSUID | _NODEV | _NOEXEC)


def own_processes() -> int:
    """The processes of this process's namespace, where they may be written to and nobody else sees it."""
    return _make("proc", {}, {}, _NOSUID | _NODEV | _NOEXEC)


def tree(path: str) -> int:
    """What is mounted at `path`, once more and read-only."""
    descriptor: int = kernel.syscall("open_tree", _OPEN_TREE, _HERE, os.fsencode(path), _CLONE | os.O_CLOEXEC)
    try:
        kernel.set_mount_flags(descriptor, "", _RDONLY | _NOSUID | _NODEV)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def attach(descriptor: int, path: str) -> None:
    """Put a mount at `path` of the mount namespace that this process is in."""
    kernel.syscall("move_mount", _MOVE_MOUNT, descriptor, b"", _HERE, os.fsencode(path), _EMPTY_PATH)


def _make(kind: str, texts: dict[str, str], descriptors: dict[str, int], flags: int) -> int:
    context = kernel.syscall("fsopen " + kind, _FSOPEN, kind.encode(), _CLOEXEC)
    try:
        for key, text in texts.items():
            kernel.syscall("fsconfig " + key, _FSCONFIG, context, _SET_STRING, key.encode(), text.encode(), 0)
        for key, given in descriptors.items():
            kernel.syscall("fsconfig " + key, _FSCONFIG, context, _SET_FD, key.encode(), None, given)
        kernel.syscall("fsconfig", _FSCONFIG, context, _CREATE, None, None, 0)
        made: int = kernel.syscall("fsmount", _FSMOUNT, context, _CLOEXEC, flags)
    finally:
        os.close(context)
    return made
