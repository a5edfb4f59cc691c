"""The private root of the workers: built once by their zygote, in a mount namespace of its own. Standard library only,
Python 3.9 syntax, imports no pyfc.

    /usr /bin /lib ...   of this machine, read-only, without setuid programs
    /etc                 what programs need to find names and certificates; accounts of our own
    /dev                 null, zero, full, random, urandom; shm per worker
    /var/fc/runtime      what runs functions, as far as it is programs of other languages
    /code /tmp /proc     empty here: each worker mounts its own, and /packages if its code links to it
    /.pyfc               code and caches of all functions; each worker takes its own out and loses the rest

Everything else does not exist here, the folders of people and of the server among it.
"""

from __future__ import annotations

import os
from typing import Any

import kernel

HIDDEN = "/.pyfc"
AGAIN = HIDDEN + "/again"
"""Has what is shown below /tmp, for workers to show it again when they have mounted their own /tmp."""
SHARED = "shared-"
"""How names of folders begin that belong to somebody else and that functions share."""
TOPS = ("mnt", "home", "data", "nas")
"""Below which workers mount what their functions share (pyfc/model/mounts.py)."""
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_LARGEST_COPY = 1024 * 1024
_EMPTY = (
    "code", "packages", "tmp", "proc", "opt", "cache", "root", "run", "mnt", "dev", "etc", "var",
    "var/cache", "var/lib", "var/log",
)  # fmt: skip


def build(profile: dict[str, Any]) -> None:
    """Make the calling process's root that of `profile`, which sandbox.py has written. Its mounts are its own."""
    place = profile["root"]
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", place, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=16m")
    for name in _EMPTY:
        os.mkdir(os.path.join(place, name))
    os.symlink("../tmp", os.path.join(place, "var/tmp"))  # what is shown below it lands here too, and not outside
    os.symlink("../run", os.path.join(place, "var/run"))
    for path in profile["show"]:
        _show(place, path)
    for path in covered(profile):
        _show(place + AGAIN, path)
    for path, source in profile["place"].items():
        os.makedirs(place + path)
        kernel.bind(source, place + path)
    for name in TOPS:
        os.makedirs(os.path.join(place, name), exist_ok=True)
    for path in profile["hide"]:
        _hide(place + path)
        _hide(place + AGAIN + path)
    _accounts(place, [("root", 0), *profile["users"]])
    _devices(place)
    for name, source in profile["own"].items():
        target = place + HIDDEN + "/" + name
        os.makedirs(target)
        kernel.bind(source, target, writable=name in {"cache", "mounts"} or name.startswith(SHARED))
    _furnish_cage(place, profile)
    _proc(place + "/proc")
    os.chdir(place)
    kernel.pivot_root()
    kernel.mount("", "/", "", kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID)


def covered(profile: dict[str, Any]) -> list[str]:
    """What a worker's own /tmp covers of what is shown: packages of an environment that was made there, mostly."""
    return [path for path in profile["show"] if path.startswith(("/tmp/", "/var/tmp/")) and os.path.isdir(path)]


def show_again(paths: list[str]) -> None:
    """In a worker, whose /tmp is new."""
    for path in paths:
        os.makedirs(path)
        kernel.bind(AGAIN + path, path)


def mount_shared(shared: list[tuple[str, str, bool]]) -> None:
    """In a worker: folders that functions share, each with its path below HIDDEN, its place, and whether it is
    read-only. What one instance writes there is everybody's to change: each has a user of its own.
    """
    for top in sorted({at.split("/")[1] for _, at, _ in shared}):
        if top in TOPS and not os.listdir("/" + top):
            kernel.mount("tmpfs", "/" + top, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m")
    for name, at, is_read_only in sorted(shared, key=lambda each: each[1]):
        os.makedirs(at, exist_ok=True)
        kernel.bind(HIDDEN + "/" + name, at, writable=not is_read_only)


def _show(place: str, path: str) -> None:
    """Something of this machine, at the same path; a link stays one, if what it leads to is shown too."""
    target = place + path
    if os.path.lexists(target) or not os.path.exists(path):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path) and path.count("/") == 1:
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.bind(os.path.realpath(path), target)


def _furnish_cage(place: str, profile: dict[str, Any]) -> None:
    """What commands in a cage (caged.py) have besides."""
    for source, path in profile.get("lent", ()):
        _lend(place, source, path)
    for below, path, layer in profile.get("layers", ()):
        overlay(place + path, below, layer)
    for path in profile.get("further", ()):
        _show_over(place, path)
    for source, path in profile.get("copies", ()):
        _copy(source, place + path, profile["users"][0][1])


def _show_over(place: str, path: str) -> None:
    """Something of this machine, at the same path, also where an earlier one has left its mount point."""
    target = place + path
    if not os.path.lexists(target):
        _show(place, path)
    elif os.path.exists(path) and not (os.path.exists(target) and os.path.samefile(path, target)):
        kernel.bind(os.path.realpath(path), target)


def _lend(place: str, source: str, path: str) -> None:
    """A folder of this machine that may be written, at `path`; what is shown there already is covered."""
    os.makedirs(place + path, exist_ok=True)
    kernel.bind(source, place + path, writable=True)


def overlay(target: str, below: str, layer: str) -> bool:
    """Show `below` at `target`, where changes go to the folder `layer` instead; where this kernel cannot, what is at
    `target` stays, and this is False.
    """
    parts = [below, layer + "/upper", layer + "/work"]
    if any(set(part) & set(":,\\") for part in parts):
        return False  # which mean something among the options
    options = "lowerdir=%s,upperdir=%s,workdir=%s" % tuple(parts)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    for more in ("", ",userxattr"):  # the latter in a user namespace
        try:
            kernel.mount("overlay", target, "overlay", flags, options + more)
        except OSError:
            continue
        return True
    return False


def _copy(source: str, target: str, owner: int) -> None:
    """A file of this machine's that only the server can read, in memory, for this user."""
    if os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(source, "rb") as file, open(target, "xb") as copy:
        os.fchmod(copy.fileno(), 0o400)
        copy.write(file.read(_LARGEST_COPY))
    if os.geteuid() == 0:
        os.chown(target, owner, owner)


def _hide(target: str) -> None:
    """Nothing stands in this folder."""
    if os.path.isdir(target):
        kernel.mount(
            "tmpfs", target, "tmpfs", kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=4k"
        )


def _proc(target: str) -> None:
    """The zygote's own, below those of the workers: a user namespace may mount one only where it sees one already."""
    try:
        kernel.mount("proc", target, "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    except OSError:
        return  # the trial finds that a worker cannot either


def _accounts(place: str, names: list[tuple[str, int]]) -> None:
    """Every worker's user has a name, and /tmp as its home."""
    with open(place + "/etc/passwd", "w", encoding="ascii") as passwd:
        passwd.writelines("%s:x:%d:%d::/tmp:/bin/sh\n" % (name, number, number) for name, number in names)
    with open(place + "/etc/group", "w", encoding="ascii") as group:
        group.writelines("%s:x:%d:\n" % (name, number) for name, number in names)


def _devices(place: str) -> None:
    for name in _DEVICES:
        target = place + "/dev/" + name
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        kernel.bind("/dev/" + name, target, writable=True, devices=True)
    for name, target in _LINKS.items():
        os.symlink(target, place + "/dev/" + name)
    os.mkdir(place + "/dev/shm")
