"""Run a command as an ordinary user: `python as_user.py UID yes|no COMMAND...`. Started by root, that user is UID.

The interpreter and this checkout may lie where that user may not go (a home folder of root's): they are then shown to
it at the same path, in a mount namespace of its own. With `no` the user can make no user namespaces: it starts in one
that allows none below it, as on a host whose administrator has forbidden them.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pyfc" / "sandbox" / "inside"))

import kernel

ROOT = Path(__file__).resolve().parents[1]


def show(paths: list[Path]) -> None:
    """Make `paths` reachable for everyone, and nothing beside them."""
    hidden = [(path, first_closed(path), os.open(path, os.O_PATH)) for path in sorted(set(paths))]
    for closed in {closed for _, closed, _ in hidden if closed is not None}:
        kernel.mount("tmpfs", str(closed), "tmpfs", 0, "mode=755")
    for path, closed, kept in hidden:  # what lies in another one comes after it, and is there already
        if closed is not None and not path.exists():
            path.mkdir(parents=True)
            kernel.mount(f"/proc/self/fd/{kept}", str(path), "", kernel.MS_BIND | kernel.MS_REC)
        os.close(kept)


def first_closed(path: Path) -> Path | None:
    """The topmost folder above `path` that is not open to everyone."""
    return next((each for each in reversed(path.parents) if not each.stat().st_mode & 0o001), None)


def forbid_namespaces(uid: int) -> None:
    """Enter a user namespace below which there can be none."""
    if os.geteuid() != 0:
        kernel.unshare_user(0, uid)
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        return
    parent = os.getpid()
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # maps are written from outside, by somebody with the rights
        os.read(ready[0], 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{parent}/{name}").write_text(f"0 0 1\n{uid} {uid} 1\n")
        os.write(done[1], b"x")
        os._exit(0)
    kernel.unshare(kernel.NEWUSER)
    os.write(ready[1], b"x")
    os.read(done[0], 1)
    os.waitpid(child, 0)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def main() -> None:
    """See module."""
    uid, namespaces, command = int(sys.argv[1]), sys.argv[2] == "yes", sys.argv[3:]
    is_root = os.geteuid() == 0
    if is_root:
        kernel.unshare(kernel.NEWNS)
        kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
        needed = (sys.base_prefix, sys.prefix, ROOT, sysconfig.get_paths()["purelib"])
        show([Path(path).resolve() for path in needed])
        os.setgroups([])
    if not namespaces:
        forbid_namespaces(uid)
    if is_root:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
