"""How a zygote and its workers are locked in: standard library only, Python 3.9 syntax, imports no pyfc.

What is wished for is sandbox.py's to say, the root is built by root.py, and the calls themselves are in kernel.py.

The zygote loads this file by its path. What is taken away here cannot be had back by the code that runs afterwards.

1. `nest`, once, in the zygote: the best of the modes that this host allows. `root`: namespaces made by root; `user`:
   the same inside a user namespace; `plain`: no namespaces, Landlock instead; `off`: by the operator's choice.
2. `begin`, in each worker, right after the fork: what is the same for every function. A spare waits here.
3. `settle`, in the worker, when it knows its function and before any code of the user: the rest, the system-call
   filter last.
4. A layer that the host refuses was found out by a trial (a worker that nobody needs) and is left out and reported;
   a layer that fails afterwards ends the worker.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import resource
import signal
from typing import Any

import changes
import kernel
import mounts
import root

_NAMESPACES = kernel.NEWNS | kernel.NEWIPC | kernel.NEWUTS | kernel.NEWCGROUP | kernel.NEWPID
_OWN = kernel.NEWNS | kernel.NEWIPC | kernel.NEWCGROUP
SHARED_MEMORY = 64
"""MB of /dev/shm."""
_TRIALS = 3
_DISK = 512
_INODES = 65536
_OF_ALL, _OF_ONE = 4, 16
"""Which part of the user's watches of files the instances of one zygote may take together; how many of them each."""
_WATCHES = {"max_inotify_instances": 1, "max_inotify_watches": 512}
"""In /proc/sys/user; how many belong to one of the kind above."""


class Cage:
    """What is in force for the workers of one zygote."""

    def __init__(self, profile: dict[str, Any], mode: str, missing: dict[str, str]) -> None:
        self.mode = mode
        self.missing = missing
        """Layers that the host refuses, with its words."""
        self.has_namespaces = mode in ("root", "user")
        self.inside: int = profile["inside"]
        self._profile = profile
        self._filters = {name: base64.b64decode(text) for name, text in profile["filters"].items()}
        self._pid_namespace = -1
        self.covered: list[str] = []
        self._is_keeper = False

    def isolate(self) -> None:
        """In the zygote: new namespaces. Its next child, and no other, is the first process in them."""
        if self.mode == "user":
            most = {name: _number("/proc/sys/user/" + name) // _OF_ALL for name in _WATCHES}
            _, signals = resource.getrlimit(resource.RLIMIT_SIGPENDING)
            if signals != resource.RLIM_INFINITY:
                limit("SIGPENDING", signals // _OF_ALL)
            kernel.unshare_user(_NAMESPACES, self.inside)
            _limit_user(most)
        elif self.mode == "root":
            kernel.unshare(_NAMESPACES)

    def furnish(self) -> None:
        """In the first process of the namespaces: its root, and what all workers inherit."""
        if self.has_namespaces:
            self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            self.covered = root.covered(self._profile)
            root.build(self._profile)
            kernel.drop_bounding_set()
        if kernel.LINUX:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)  # it waits for what workers leave

    def fork(self) -> int:
        """os.fork, in whose child everything of this module but `begin` and `settle` has been done."""
        if not self.has_namespaces or self._is_keeper:
            return os.fork()
        kernel.unshare(kernel.NEWPID)
        try:
            pid = os.fork()
        except OSError:
            kernel.setns(self._pid_namespace, kernel.NEWPID)
            raise
        if pid:
            kernel.setns(self._pid_namespace, kernel.NEWPID)  # only from here can there be another one
        return pid

    def keep(self, *, network: bool) -> dict[str, int]:
        """In a fork of a zygote: be the keeper of one function (keeper.py), the first process of its namespaces. Its
        mount and process namespace, to come back to.
        """
        os.setsid()
        kernel.unshare(_OWN | (0 if network else kernel.NEWNET))
        if not network:
            kernel.raise_loopback()
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
        self._die_with_the_zygote()
        self._is_keeper = True
        return {name: os.open("/proc/self/ns/" + name, os.O_RDONLY | os.O_CLOEXEC) for name in ("mnt", "pid")}

    def begin(self, limits: dict[str, int]) -> None:
        """In a worker: what its function has no say in. `limits`: resource limits by the name after RLIMIT_."""
        os.setsid()
        for name, value in limits.items():
            limit(name, value)
        if self.has_namespaces:
            kernel.unshare(_OWN)
            flags = kernel.MS_NOSUID | kernel.MS_NODEV
            kernel.mount("tmpfs", "/tmp", "tmpfs", flags, _temporary(_DISK))
            root.show_again(self.covered)
            kernel.mount("tmpfs", "/dev/shm", "tmpfs", flags | kernel.MS_NOEXEC, _temporary(SHARED_MEMORY))
            if "proc" not in self.missing:
                self._mount_proc(kernel.MS_RDONLY if self.mode == "root" else 0)  # `prepare` writes a user map
        if kernel.LINUX and "proc" not in self.missing and self.mode != "off":
            kernel.hide_command_line()
        self._die_with_the_zygote()
        os.umask(0o022)

    def settle(self, wish: dict[str, Any]) -> None:
        """In a worker: what its function decides (sandbox.py writes it), then no way back."""
        self.prepare(wish)
        self.give_up(wish)

    def prepare(self, wish: dict[str, Any]) -> None:
        """The first part of `settle`: what takes rights."""
        if self.mode == "off":
            return
        if self.has_namespaces:
            self._furnish_for(wish)
        if self.mode == "user" and "proc" not in self.missing:
            self._take_own_user(is_template=wish.get("template", False))

    def _mount_proc(self, further: int) -> None:
        flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        hidden = "hidepid=2" if self._is_keeper else ""  # of a template: its keeper and its copies
        kernel.mount("proc", "/proc", "proc", flags | further, hidden)

    def _take_own_user(self, *, is_template: bool) -> None:
        """A user namespace in which nobody else's processes, signals and watches count; outside, the limits of now go
        on, so new ones are set after. /proc becomes read-only: a worker could make itself the last one that the kernel
        takes when memory is short.
        """
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            kernel.unmount("/proc")
            self._mount_proc(kernel.MS_RDONLY)
            if not is_template:
                kernel.unshare_user(0, self.inside, proc)
                limit_one(proc)
        finally:
            os.close(proc)

    def give_up(self, wish: dict[str, Any], filter_name: str = "", kept: int = -1) -> None:
        """The second part: no way back. `filter_name`: the system-call filter, if not that of every worker. A bridge
        and a profiler have their own, and look after a program, as nobody could from inside of another Landlock.
        `kept`: the number of a capability that is not given up (and has to outlive a change of user, PR_SET_KEEPCAPS).
        """
        if self.mode == "off":
            return
        for name, value in wish["limits"].items():
            limit(name, value)
        if self.mode == "root" and wish["uid"]:
            os.setgroups([])
            _become(wish["uid"])
        if kernel.LINUX:
            kernel.drop_capabilities(kept)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else it could not look at its own /proc/self
            self._die_with_the_zygote()  # a change of user has undone it
        if "landlock" not in self.missing and filter_name not in {"bridge", "profiler"}:
            kernel.landlock(wish["read"], wish["write"])
        if "seccomp" not in self.missing:
            kernel.load_filter(self._filters[filter_name or self._usual_filter(wish)])

    def _usual_filter(self, wish: dict[str, Any]) -> str:
        if wish.get("template"):
            return "template"
        if self.has_namespaces:
            return "own"
        return "shared" if wish["network"] else "offline"

    def settle_copy(self, processes: int) -> None:
        """In a copy of a template, after its keeper has furnished it: give up what its new user namespace gave it.
        `processes`: most of them, where no control group counts them; 0 if one does.
        """
        if processes:
            limit("NPROC", processes)
        _become(self.inside)
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        if "landlock" not in self.missing:
            kernel.landlock([], [])
        kernel.load_filter(self._filters["copy"])

    def furnish_started(self, pidfd: int, wish: dict[str, Any]) -> None:
        """In the zygote or a keeper: show a worker its function's code. It was started before that was known, and has
        settled; what it has run since cannot move `/code`, which takes rights.
        """
        trees = {"/code": "/code/" + wish["digest"], "/cache": "/cache/" + wish["cache"]}
        if wish["packages"]:
            trees["/packages"] = "/packages/" + wish["packages"]
        if wish["opt"]:
            trees["/opt"] = "/code/" + wish["opt"]
        with open("/proc/self/fdinfo/%d" % pidfd, encoding="ascii") as file:
            pid = int(file.read().partition("Pid:")[2].split()[0])
        if os.stat("/proc/%d/ns/mnt" % pid) == os.stat("/proc/self/ns/mnt"):
            raise OSError(errno.EPERM, "it has no namespace of its own yet")
        made = {place: mounts.tree(root.HIDDEN + path) for place, path in trees.items()}
        own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            kernel.setns(pidfd, kernel.NEWNS)
            try:
                for place, descriptor in made.items():
                    mounts.attach(descriptor, place)
            finally:
                kernel.setns(own, kernel.NEWNS)
        finally:
            for descriptor in (own, *made.values()):
                os.close(descriptor)

    def _furnish_for(self, wish: dict[str, Any]) -> None:
        if not wish["network"] and not self._is_keeper:
            kernel.unshare(kernel.NEWNET)
            kernel.raise_loopback()
        if wish["disk"] != _DISK:
            flags = kernel.MS_REMOUNT | kernel.MS_NOSUID | kernel.MS_NODEV
            kernel.mount("tmpfs", "/tmp", "tmpfs", flags, _temporary(wish["disk"]))
        if wish["digest"]:
            kernel.bind(root.HIDDEN + "/code/" + wish["digest"], "/code")
            kernel.bind(root.HIDDEN + "/cache/" + wish["cache"], "/cache", writable=wish["compiles"])
            if wish["packages"]:
                kernel.bind(root.HIDDEN + "/packages/" + wish["packages"], "/packages")
        if wish.get("changes"):
            changes.allow("/code", _temporary(wish["disk"]), wish["uid"])
        if wish["opt"]:
            kernel.bind(root.HIDDEN + "/code/" + wish["opt"], "/opt")
        if wish.get("mounts"):
            root.mount_shared(wish["mounts"])
            os.umask(0)
        for name in self._profile["own"]:
            kernel.unmount(root.HIDDEN + "/" + name)

    def _die_with_the_zygote(self) -> None:
        """The kernel kills this process when the zygote dies. In namespaces the zygote is no process of ours to see."""
        if not kernel.LINUX:
            return
        parent = os.getppid()
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if not self.has_namespaces and (os.getppid() != parent or parent == 1):
            os._exit(0)  # it died before the signal was asked for


def _number(path: str) -> int:
    """A number that the kernel tells; 0 if it tells none."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def limit_one(proc: int | None = None) -> None:
    """In the user namespace of one instance: limit all its processes together. `proc`: see kernel.write_proc."""
    _limit_user({name: _OF_ONE * each for name, each in _WATCHES.items()}, proc)


def _limit_user(most: dict[str, int], proc: int | None = None) -> None:
    """What all processes of this user namespace may have together, by the name in /proc/sys/user."""
    for name, value in most.items():
        if value:
            try:
                kernel.write_proc("sys/user/" + name, str(value), proc)
            except OSError:
                continue  # a container shows it read-only, or the kernel does not know it


def inodes(disk: int) -> int:
    """Most files of a file system with `disk` MB."""
    return _INODES * disk // _DISK


def _temporary(disk: int) -> str:
    return "mode=1777,size=%dm,nr_inodes=%d" % (disk, inodes(disk))


def nest(profile: dict[str, Any]) -> Cage:
    """Lock this process in as well as the host allows, and return in the process that is to be the zygote. The caller
    stays behind in here to wait for it: whoever forks reaps. Raises OSError if not even the last mode works.
    """
    refused: dict[str, str] = {}
    go_first()
    if profile["join"]:
        with open(profile["join"], "w", encoding="ascii") as group:
            group.write("0")
    for mode in profile["modes"]:
        missing = _tried(profile, mode)
        if "mode" not in missing:
            break
        refused[mode] = missing.pop("mode")
    else:
        raise OSError("no mode of %s works: %s" % (profile["modes"], refused))
    missing.update(("namespaces (%s)" % name, reason) for name, reason in refused.items())
    cage = Cage(profile, mode, missing)
    cage.isolate()
    if cage.has_namespaces:
        first = os.fork()
        if first:
            _stay_behind(first)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    cage.furnish()
    return cage


def go_first() -> None:
    """When the machine has no memory left the kernel takes functions, and never their server."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("500")
    except OSError:
        return  # there is no such thing here


def _stay_behind(first: int) -> None:
    """Outside of the namespaces: wait for the zygote. Its control socket is its own."""
    os.closerange(3, 64)
    while True:
        _, status = os.waitpid(first, 0)
        if os.WIFSIGNALED(status) or os.WIFEXITED(status):
            os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def _tried(profile: dict[str, Any], mode: str) -> dict[str, str]:
    """What a worker would miss in this mode: layer -> the host's words; `mode` when it is no mode at all. Who says
    nothing was killed, perhaps by chance or for want of memory, which is no reason to be locked in less.
    """
    if mode == "off":
        return {}
    for _ in range(_TRIALS):
        text = _words_of_trial(profile, mode)
        if text:
            missing: dict[str, str] = json.loads(text)
            return missing
    return {"mode": "the trial ended without a word"}


def _words_of_trial(profile: dict[str, Any], mode: str) -> bytes:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _try(profile, mode, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


def _try(profile: dict[str, Any], mode: str, answer: int) -> None:
    """In a child that nobody needs: go the whole way, and tell what is refused."""
    missing: dict[str, str] = {}
    try:
        cage = Cage(profile, mode, missing)
        cage.isolate()
        if cage.has_namespaces and (first := os.fork()):
            os.waitpid(first, 0)
            os._exit(0)
        cage.furnish()
        _try_layers(cage, missing)
    except OSError as error:
        missing["mode"] = "%s: %s" % (error.filename or "fork", error.strerror)
    except Exception as error:
        missing["mode"] = repr(error)
    os.write(answer, json.dumps(missing).encode())
    os._exit(0)


def _try_layers(cage: Cage, missing: dict[str, str]) -> None:
    """Each layer that a worker can do without, one after the other; then all of them, as a worker would."""
    wish = {"limits": {}, "uid": 0, "network": True, "disk": 512, "read": [], "write": []}
    wish.update({"digest": "", "cache": "", "packages": "", "opt": ""})
    if cage.mode == "root":
        wish["uid"] = cage._profile["first_uid"]
    if cage.mode == "plain":
        wish["read"] = ["/"]
    _look_for_layers(cage, missing)
    cage.begin({"CORE": 0})
    try:
        cage.settle(wish)
    except OSError as error:
        if error.filename not in {"seccomp", "landlock"}:
            raise
        missing[error.filename] = str(error)


def _look_for_layers(cage: Cage, missing: dict[str, str]) -> None:
    """What can be known before anything is given up."""
    if not kernel.landlock_version():
        missing["landlock"] = "the kernel has no Landlock"
    elif kernel.landlock_version() < kernel.SCOPES_SINCE:
        missing["scopes"] = "this Landlock can not limit signals and abstract sockets (Linux 6.12 can)"
    if not cage._filters["own"]:
        missing["seccomp"] = "no filter is written for this processor"
    if cage.has_namespaces:
        try:
            kernel.mount("proc", "/proc", "proc", kernel.MS_RDONLY)
        except OSError as error:
            missing["proc"] = str(error)


def _become(user: int) -> None:
    """Be a user and its group for good."""
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def limit(name: str, value: int) -> None:
    """Set a resource limit by the name after RLIMIT_, or what is allowed of it."""
    kind = getattr(resource, "RLIMIT_" + name, None)
    if kind is None:
        return  # this system does not know it
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))
