"""What the program of a custom runtime may change: its code, and where programs of the system keep what they write. Its
changes are its own, in memory, and gone with its instance. Standard library only, Python 3.9 syntax, imports no pyfc.

Over /code lies a layer (overlayfs), in which each folder is there already and belongs to the instance's user. As root
that is another user than the files', so what lies below is shown as its own (an idmapped mount, Linux 5.19, on file
systems that know it).
"""

from __future__ import annotations

import contextlib
import os
from typing import NoReturn

import kernel
import mounts
import root

_PLACE = "/run"
"""Its file system, until the folder of that name in it is shown here."""
_SYSTEM = {"cache": "/var/cache", "lib": "/var/lib", "log": "/var/log", "run": _PLACE}
"""The last covers the others."""


def allow(at: str, options: str, user: int) -> bool:
    """In a worker, before it gives up its rights: let `user` (0: this process's) change what is mounted at `at`, and
    write where the system's programs do. `options`: of a file system in memory. False where this kernel cannot: all
    stays read-only.
    """
    kernel.mount("tmpfs", _PLACE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    try:
        done = _layered(at, user)
    except OSError:
        done = False
    if not done:
        kernel.unmount(_PLACE)
        return False
    for name, path in _SYSTEM.items():
        if not os.listdir(path) or path == _PLACE:  # what is shown there of the machine stays
            _folder(_PLACE + "/" + name, user)
            kernel.bind(_PLACE + "/" + name, path, writable=True)
    return True


def _layered(at: str, user: int) -> bool:
    for name in ("lower", "work"):
        os.mkdir(_PLACE + "/" + name)
    tree = mounts.tree(at)
    try:
        if user:
            with contextlib.suppress(OSError):  # then its own are the folders alone: files can be replaced
                _give(tree, user)
        mounts.attach(tree, _PLACE + "/lower")
    finally:
        os.close(tree)
    upper = _PLACE + "/upper"
    _folder(upper, user)
    _folders(_PLACE + "/lower", upper, user)
    is_there: bool = root.overlay(at, _PLACE + "/lower", _PLACE)
    return is_there


def _folders(lower: str, upper: str, user: int) -> None:
    """Those of `lower`, once more in `upper`."""
    left = [""]
    while left:
        below = left.pop()
        with os.scandir(lower + below) as entries:
            found = ["%s/%s" % (below, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
        for path in found:
            _folder(upper + path, user)
        left += found


def _folder(path: str, user: int) -> None:
    os.mkdir(path, 0o755)
    if user:
        os.chown(path, user, user)


def _give(tree: int, user: int) -> None:
    """Show root's files in a mount as this user's: with the owners of a user namespace, in which nobody lives."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _wait_in_a_namespace(ready, go)
    opened = [ready[0], go[0], go[1]]
    os.close(ready[1])
    try:
        os.read(ready[0], 1)
        opened.append(proc := mounts.own_processes())
        for name in ("uid_map", "gid_map"):
            kernel.write_proc("%d/%s" % (child, name), "0 %d 1" % user, proc)
        opened.append(space := os.open("%d/ns/user" % child, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc))
        kernel.map_owners(tree, space)
    finally:
        for descriptor in opened:
            os.close(descriptor)
        os.waitpid(child, 0)


def _wait_in_a_namespace(ready: tuple[int, int], go: tuple[int, int]) -> NoReturn:
    try:
        os.close(go[1])
        kernel.unshare(kernel.NEWUSER)
        os.write(ready[1], b"r")
        os.read(go[0], 1)
    finally:
        os._exit(0)
