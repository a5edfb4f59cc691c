"""What a keeper does for the instances of its function, from outside of them: standard library only, imports no pyfc.

A template has run code of the user, so what it and its copies do of their own will is worth nothing. The boundary is
what the template's filter allows (clone.py), and what is done and checked here:

1. `admit`: the copy that asks is a child of ours which we have not waited for. It gets one user, its own /tmp,
   /dev/shm and /proc. Where its template has no function it is shown /code later (enter.py, `furnish_started`).
2. `examine`, when it says that it has given everything up: no capability, the filter in force, the one user, one
   thread, no children, in its control groups. What fails this is killed.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import enter
import kernel
import mounts
import root


class Refused(Exception):
    """A template or a copy of it is not what it must be; the text says why."""


def admit(pid: int) -> None:
    """Whether the copy `pid` is a child of ours, whose number nobody else can have until we wait for it. Raises Refused
    if not.
    """
    try:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            raise Refused("it ended at once")
    except ChildProcessError:
        raise Refused("it is not the template's child") from None


def map_user(pid: int, inside: int, outside: int) -> None:
    """Give the new user namespace of `pid` its one user."""
    for name, text in (("setgroups", "deny"), ("uid_map", _map(inside, outside)), ("gid_map", _map(inside, outside))):
        with open("/proc/%d/%s" % (pid, name), "w", encoding="ascii") as file:
            file.write(text)


def limit_user(pid: int) -> None:
    """Limit what all processes of the new user namespace of `pid` may have together. It takes a child: nobody comes
    back from a user namespace.
    """
    namespace = os.open("/proc/%d/ns/user" % pid, os.O_RDONLY | os.O_CLOEXEC)
    try:
        child = os.fork()
        if child == 0:
            try:
                kernel.setns(namespace, kernel.NEWUSER)
                enter.limit_one()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    finally:
        os.close(namespace)


def _map(inside: int, outside: int) -> str:
    return "%d %d 1" % (inside, outside)


class Furniture:
    """The mounts of one instance, made before it is there."""

    def __init__(self, disk: int, covered: list[str]) -> None:
        self._covered = covered
        self._mounts: dict[str, int] = {}
        try:
            self._mounts["/tmp"] = mounts.tmpfs(disk, enter.inodes(disk), executable=True)
            self._mounts["/dev/shm"] = mounts.tmpfs(
                enter.SHARED_MEMORY, enter.inodes(enter.SHARED_MEMORY), executable=False
            )
        except OSError:
            self.close()
            raise

    def deliver(self, pid: int, own: dict[str, int]) -> None:
        """Put everything into the instance's mount namespace. `own`: our namespaces, to come back to."""
        namespace = os.open("/proc/%d/ns/pid" % pid, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                self._mounts["/proc"] = mounts.processes(namespace)
            except OSError:
                kernel.setns(namespace, kernel.NEWPID)  # our next child is in it, and can mount it
        finally:
            os.close(namespace)
        pidfd = os.pidfd_open(pid)
        try:
            kernel.setns(pidfd, kernel.NEWNS)
            try:
                for path, descriptor in self._mounts.items():
                    mounts.attach(descriptor, path)
                root.show_again(self._covered)
                if "/proc" not in self._mounts:
                    _mount_from_inside()
            finally:
                kernel.setns(own["mnt"], kernel.NEWNS)
        finally:
            os.close(pidfd)
            if "/proc" not in self._mounts:
                kernel.setns(own["pid"], kernel.NEWPID)

    def close(self) -> None:
        """Give back what was delivered or never will be."""
        while self._mounts:
            os.close(self._mounts.popitem()[1])


def _mount_from_inside() -> None:
    """Mount the processes of the namespace that our children are born in. It takes a child."""
    child = os.fork()
    if child == 0:
        try:
            flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
            kernel.mount("proc", "/proc", "proc", flags)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        raise Refused("its /proc could not be mounted: %s" % os.strerror(os.waitstatus_to_exitcode(status)))


def examine(pid: int, uid: int, group: str) -> None:
    """Whether the instance `pid` has given up what it must. `uid` as it is seen here; `group`: the name of its control
    group, '' for none. Raises Refused.
    """
    status = _status(pid)
    wrong = [name for name in ("CapPrm", "CapEff", "CapInh", "CapAmb") if int(status[name], 16)]
    numbers = {*status["Uid"].split(), *status["Gid"].split()}
    checks = {
        "the second filter": status["Seccomp"] == "2" and int(status.get("Seccomp_filters", "2")) >= 2,
        "NoNewPrivs": status["NoNewPrivs"] == "1",
        "user %s" % status["Uid"].split()[0]: numbers == {str(uid)},
        "threads": status["Threads"] == "1",
        "children": not children(pid),
        "control groups": not group or _is_in_groups(pid, group),
    }
    wrong += [what for what, is_right in checks.items() if not is_right]
    if wrong:
        raise Refused("it has not given up, or does not have: %s" % ", ".join(wrong))


def _is_in_groups(pid: int, name: str) -> bool:
    """Whether each control group that limits a process is the one of that name."""
    with open("/proc/%d/cgroup" % pid, encoding="ascii") as file:
        limited = [line for line in file if not line.startswith("0:") and _is_limited(line)]
    return all(line.rstrip("\n").endswith("/" + name) for line in limited)


def _is_limited(line: str) -> bool:
    return bool({"memory", "pids", "cpu"} & set(line.split(":")[1].split(",")))


def is_quiet(pid: int, known: int) -> None:
    """Whether a process that has imported a function can be copied: one thread, no child, nothing open but our own
    descriptors, which end at `known`. Raises Refused with what a person can act on.
    """
    status = _status(pid)
    if status["Threads"] != "1":
        raise Refused("its import leaves %d threads running" % (int(status["Threads"]) - 1))
    if children(pid):
        raise Refused("its import leaves a child process running")
    for name in os.listdir("/proc/%d/fd" % pid):
        if int(name) > known:
            target = os.readlink("/proc/%d/fd/%s" % (pid, name))
            if target not in ("/dev/null", "/dev/urandom", "/dev/random"):
                raise Refused("its import leaves %s open" % _described(target))


def _described(target: str) -> str:
    return "a socket" if target.startswith("socket:") else "a pipe" if target.startswith("pipe:") else target


def children(pid: int) -> list[int]:
    """The children of a process with one thread."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [int(text) for text in file.read().split()]
    except OSError:
        return []  # it is gone, or the kernel does not tell


def end_strays(known: set[int]) -> None:
    """Kill the children of ours that nobody has ordered."""
    for pid in children(os.getpid()):
        if pid not in known:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _status(pid: int) -> dict[str, Any]:
    try:
        with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as file:
            return {name: text.strip() for name, _, text in (line.partition(":") for line in file)}
    except OSError:
        raise Refused("it has ended") from None
