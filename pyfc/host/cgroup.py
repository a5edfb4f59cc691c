"""Control groups: what an instance may take of memory, processes and processor, as a whole tree of processes.

1. The server's groups lie below the group that it was started in, in a folder named after its data folder: so the next
   server of the same data folder finds what one that was killed has left. In version 2 a group with processes of others
   can have none below it (a terminal's, say): root's lie below the topmost one then.
2. Version 1 (each controller a tree of its own, for root) and version 2 (one tree, for root or where it is delegated to
   the user). What differs is in one table.
3. A worker joins by itself, through descriptors that were opened before it was forked: a process that moves itself
   needs no lock of the whole machine, one that is moved does. In version 2 the kernel takes the lock all the same
   (6 to 18 ms now and then); spare workers hide it.
4. What lies in /tmp is memory of the group. So the hard limit is memorySize and diskSize together, and watch.py ends an
   instance whose processes alone hold more than memorySize.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pyfc.host.kernel import change_user

CONTROLLERS = ("memory", "pids", "cpu")
_MEGABYTE = 1024 * 1024
_SWEEP_TIME = 2.0
"""Seconds in which the kernel lets go of what has been killed."""
_ZYGOTES = "w0"


class _Version(NamedTuple):
    """Names of files; '' for what a version does not have."""

    join: str
    hard: str
    swap: str
    usage: str
    peak: str
    anonymous: bytes
    """The field of memory.stat with the memory that is no file."""
    events: str
    """Has a line `oom_kill N`."""
    weight: str
    as_one: str


_FILES = {
    1: _Version(
        "tasks", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.usage_in_bytes",
        "memory.max_usage_in_bytes", b"total_rss ", "memory.oom_control", "cpu.shares", "",
    ),
    2: _Version(
        "cgroup.procs", "memory.max", "memory.swap.max", "memory.current",
        "memory.peak", b"anon ", "memory.events", "cpu.weight", "memory.oom.group",
    ),
}  # fmt: skip


class Group:
    """The groups of one worker. `tickets`: open descriptors; whoever writes `0` to each of them has joined."""

    def __init__(self, version: int, folders: Mapping[str, Path]) -> None:
        self.tickets: list[int] = []
        self._files = _FILES[version]
        self._version = version
        self._folders = folders
        self._descriptors: dict[str, int] = {}
        self.memory_size = 0
        """Bytes that the processes may hold; 0 while nothing is limited."""

    @property
    def name(self) -> str:
        """The last part of its folders' paths."""
        return next(iter(self._folders.values())).name

    def open(self, joins_as: int) -> None:
        """Make the folders, and the tickets to join. Raises OSError, leaving nothing behind.

        A ticket for a user lets its holder move processes of that user alone: the kernel asks who has opened it. In
        version 2 there are none for users; `take` does it.
        """
        try:
            for folder in dict.fromkeys(self._folders.values()):
                folder.mkdir()
                if not joins_as:
                    self.tickets.append(os.open(folder / self._files.join, os.O_WRONLY | os.O_CLOEXEC))
                elif self._version == 1:
                    self.tickets.append(_opened_by(joins_as, folder / self._files.join))
            if "memory" in self._folders:
                if self._files.as_one:
                    self._write("memory", self._files.as_one, 1)
                for name in ("usage", "peak", "events", "stat"):
                    file = "memory.stat" if name == "stat" else getattr(self._files, name)
                    with contextlib.suppress(FileNotFoundError):  # memory.peak is of Linux 5.19
                        path = self._folders["memory"] / file
                        self._descriptors[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.remove()
            raise

    @property
    def is_joined(self) -> bool:
        """Whether whoever has the tickets joins by them, or is to be taken in."""
        return self._version == 1

    def take(self, pid: int) -> None:
        """Take in a process. Raises OSError."""
        for folder in dict.fromkeys(self._folders.values()):
            (folder / self._files.join).write_text(str(pid), encoding="ascii")

    def close_tickets(self) -> None:
        """After the worker has its copies."""
        while self.tickets:
            os.close(self.tickets.pop())

    def limit(self, memory: int, disk: int, processes: int) -> None:
        """Set the limits. MB, MB, number. The processor is shared in proportion to memory, as FC does it."""
        if "memory" in self._folders:
            self.memory_size = memory * _MEGABYTE
            self._write("memory", self._files.hard, (memory + disk) * _MEGABYTE)
            swap = (memory + disk) * _MEGABYTE if self._version == 1 else 0
            with contextlib.suppress(OSError):  # a kernel that does not account swap
                self._write("memory", self._files.swap, swap)
        if "pids" in self._folders:
            self._write("pids", "pids.max", processes)
        if "cpu" in self._folders:
            share = memory / 1024
            weight = max(2, round(1024 * share)) if self._version == 1 else min(10000, max(1, round(100 * share)))
            self._write("cpu", self._files.weight, weight)

    def freeze(self, *, frozen: bool) -> bool:
        """Stop all its processes, or let them go on. False where that can not be done so that they can still be killed:
        in version 1 a frozen process does not even end with the server.
        """
        if self._version == 1:
            return False
        for folder in dict.fromkeys(self._folders.values()):
            try:
                (folder / "cgroup.freeze").write_text("1" if frozen else "0", encoding="ascii")
            except OSError:
                return False
        return True

    def usage(self) -> int:
        """Bytes in use now, files in memory included."""
        return int(self._read("usage") or 0)

    def peak(self) -> int:
        """Most bytes that were ever in use; 0 if the kernel does not say."""
        return int(self._read("peak") or 0)

    def anonymous(self) -> int:
        """Bytes that the processes hold themselves: no files, nothing in /tmp."""
        text = self._read("stat")
        at = text.find(b"\n" + self._files.anonymous) + 1
        if not at and not text.startswith(self._files.anonymous):
            return 0
        return int(text[at:].split(None, 2)[1])

    def is_out_of_memory(self) -> bool:
        """Whether the kernel has killed a process of it for want of memory."""
        text = self._read("events")
        at = text.find(b"oom_kill ")
        return at >= 0 and int(text[at:].split(None, 2)[1]) > 0

    def remove(self) -> bool:
        """The worker is gone. False while the kernel still holds something of it; then try again."""
        self.close_tickets()
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])
        for folder in set(self._folders.values()):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True

    def _read(self, name: str) -> bytes:
        descriptor = self._descriptors.get(name)
        if descriptor is None:
            return b""
        try:
            return os.pread(descriptor, 8192, 0)
        except OSError:
            return b""

    def _write(self, controller: str, file: str, value: int) -> None:
        (self._folders[controller] / file).write_text(f"{value}\n", encoding="ascii")


class Groups:
    """The groups of one server. `missing`: why a controller can not be used."""

    def __init__(self, name: str) -> None:
        self.missing: dict[str, str] = {}
        self.version = 1
        self._name = name
        self._parents: dict[str, Path] = {}
        self.fence: Path | None = None
        """A group of version 2 above all workers, whether or not it limits anything; None where there can be none."""
        self._folders: set[Path] = set()
        """Those above the groups of workers, in every tree."""
        self._left: list[Group] = []
        self._numbers = itertools.count(1)

    @property
    def controllers(self) -> list[str]:
        """What can be limited."""
        return list(self._parents)

    def open(self) -> None:
        """Find what this host offers, and remove what a server of the same name has left."""
        trees = _own_groups()
        unified = trees.get("")
        if unified is not None and "memory" in _words(unified / "cgroup.controllers"):
            self.version = 2
            unified = self._open_unified(unified)
        else:
            for controller in CONTROLLERS:
                self._open_tree(controller, trees.get(controller))
        self._folders = set(self._parents.values())
        if unified is not None:
            self._folders.add(unified / self._name)
        for path in self._folders:
            sweep(path, itself=False)
        if unified is not None:
            self._open_fence(unified / self._name)

    def _open_fence(self, folder: Path) -> None:
        """The zygotes' group: whatever they fork begins there."""
        with contextlib.suppress(OSError):
            (folder / _ZYGOTES).mkdir(parents=True, exist_ok=True)
            self.fence = folder

    @property
    def zygotes(self) -> str:
        """The file by which a zygote joins the fence, '' where there is none."""
        return "" if self.fence is None else str(self.fence / _ZYGOTES / "cgroup.procs")

    def _open_tree(self, controller: str, own: Path | None) -> None:
        if own is None:
            self.missing[controller] = f"no control group of {controller} is mounted"
            return
        try:
            (own / self._name).mkdir(exist_ok=True)
        except OSError as error:
            self.missing[controller] = f"{own}: {error.strerror}"
            return
        self._parents[controller] = own / self._name

    def _open_unified(self, own: Path) -> Path:
        """The group below which ours lie: `own`, or for root the topmost one."""
        for place in dict.fromkeys([own, *([_topmost(own)] if os.geteuid() == 0 else [])]):
            try:
                wanted = self._switch_on(place)
            except OSError as error:
                why = f"{own} is not delegated to this user: {error.strerror}"
                self.missing = {**dict.fromkeys(CONTROLLERS, why), **self.missing}
            else:
                self._parents = dict.fromkeys(wanted, place / self._name)
                self.missing = {each: f"{place} does not offer it" for each in CONTROLLERS if each not in wanted}
                return place
        return own

    def _switch_on(self, place: Path) -> list[str]:
        """Have our group below `place` limit what can be limited there: the controllers. Raises OSError."""
        folder = place / self._name
        offered = _words(place / "cgroup.controllers")
        wanted = [each for each in CONTROLLERS if each in offered]
        switch_on = " ".join(f"+{each}" for each in wanted)
        if not set(wanted) <= _words(place / "cgroup.subtree_control"):
            _make_room(place, f"{self._name}-server")
            (place / "cgroup.subtree_control").write_text(switch_on, encoding="ascii")
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.subtree_control").write_text(switch_on, encoding="ascii")
        return wanted

    def make(self, joins_as: int = 0) -> Group | None:
        """The groups of a new worker, which joins as a user of its own where that is not 0; None where there are none.
        Raises OSError.
        """
        self._left = [group for group in self._left if not group.remove()]
        if not self._parents:
            return None
        name = f"w{next(self._numbers)}"
        group = Group(self.version, {controller: path / name for controller, path in self._parents.items()})
        group.open(joins_as)
        return group

    def give_back(self, group: Group) -> None:
        """The worker is gone; what the kernel still holds is removed later."""
        if not group.remove():
            self._left.append(group)

    def close(self) -> None:
        """Every worker is gone."""
        for path in self._folders:
            sweep(path, itself=True)


def _opened_by(uid: int, path: Path) -> int:
    """A descriptor that this user has opened, as far as the kernel can tell. The change is this thread's alone."""
    if uid == os.geteuid():
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    os.chown(path, uid, -1)
    change_user(uid)
    try:
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    finally:
        change_user(0)


def _own_groups() -> dict[str, Path]:
    """The group that this process is in, by controller; '' for that of version 2."""
    mounts: dict[str, Path] = {}
    roots: dict[str, str] = {}
    for line in _lines(Path("/proc/self/mountinfo")):
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3]
        if kind == "cgroup2":
            mounts[""], roots[""] = Path(before.split(" ")[4]), before.split(" ")[3]
        elif kind == "cgroup":
            for controller in set(options.split(",")) & set(CONTROLLERS):
                mounts[controller], roots[controller] = Path(before.split(" ")[4]), before.split(" ")[3]
    found: dict[str, Path] = {}
    for line in _lines(Path("/proc/self/cgroup")):
        _, names, path = line.split(":", 2)
        for controller in names.split(","):
            if controller in mounts:
                below = path.removeprefix(roots[controller].rstrip("/"))
                found[controller] = mounts[controller] / below.lstrip("/")
    return found


def _topmost(own: Path) -> Path:
    """The group of version 2 above all that can be seen here."""
    while (own.parent / "cgroup.procs").exists():
        own = own.parent
    return own


def _make_room(own: Path, name: str) -> None:
    """A group of version 2 that has groups below it may have no processes: ours move into one of their own. Raises
    OSError if there are others, which are not ours to move.
    """
    if not (own / "cgroup.type").exists():
        return  # the topmost group may have both
    if set(_lines(own / "cgroup.procs")) - {str(os.getpid())}:
        raise PermissionError(errno.EPERM, "other processes are in the same group")
    (own / name).mkdir(exist_ok=True)
    (own / name / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


def sweep(folder: Path, *, itself: bool) -> None:
    """Kill what runs in the groups below a folder, and remove them. What can not be removed stays for the next time."""
    end = time.monotonic() + _SWEEP_TIME
    while True:
        busy = False
        for group in [*folder.glob("w*"), *([folder] if itself else [])]:
            for pid in _lines(group / "cgroup.procs"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                busy = True
        if not busy or time.monotonic() > end:
            return
        time.sleep(0.001)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _words(path: Path) -> set[str]:
    return {word for line in _lines(path) for word in line.split()}
