"""Control groups: what an instance may take of memory, processes and processor, as a whole tree of processes.

1. The server's groups lie below the group that it was started in, in a folder named after its data folder: so the next
   server of the same data folder finds what one that was killed has left. In version 2 a group with processes of others
   can have none below it (a terminal's, say): root's lie below the topmost one then.
2. Version 1 (each controller a tree of its own, for root) and version 2 (one tree, for root or where it is delegated to
   the user). What differs is in group.py.
3. A worker joins by itself, through descriptors that were opened before it was forked: a process that moves itself
   needs no lock of the whole machine, one that is moved does. In version 2 the kernel takes the lock all the same
   (6 to 18 ms now and then); spare workers hide it.
4. A server holds a lock on each of its groups' folders. Empty groups that nobody holds are those of servers whose data
   folder never had another one: whoever starts removes them.
5. What lies in /tmp is memory of the group. So the hard limit is memorySize and diskSize together, and memory.py ends
   an instance whose processes alone hold more than memorySize.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pyfc.sandbox.group import Group

_log = logging.getLogger(__name__)
CONTROLLERS = ("memory", "pids", "cpu")
_SWEEP_TIME = 2.0
"""Seconds in which the kernel lets go of what has been killed."""
_ZYGOTES = "w0"
_OURS = "pyfc-*"
"""What the folders of all servers are called."""


class Groups:
    """The groups of one server. `missing`: why a controller cannot be used. `on_fence` is told of a fence that had to
    be made again.
    """

    def __init__(self, name: str, on_fence: Callable[[Path], object] = lambda _: None) -> None:
        self.missing: dict[str, str] = {}
        self.version = 1
        self._name = name
        self._on_fence = on_fence
        self._parents: dict[str, Path] = {}
        self.fence: Path | None = None
        """A group of version 2 above all workers, whether or not it limits anything; None where there can be none."""
        self._unified: Path | None = None
        self._folders: set[Path] = set()
        """Those above the groups of workers, in every tree."""
        self._locks: list[int] = []
        self._left: list[Group] = []
        self._numbers = itertools.count(1)

    @property
    def controllers(self) -> list[str]:
        """What can be limited."""
        return list(self._parents)

    def open(self) -> None:
        """Find what this host offers, and remove what a server of the same name has left. Where one of that name lives
        (its data folder was removed under it, say), this one takes another name.
        """
        self._find()
        if not self._hold():
            self._name = f"{self._name}-{os.getpid()}"
            self._find()
            self._hold()
        for path in self._folders:
            sweep(path, itself=False)
        if self._unified is not None:
            self._open_fence(self._unified / self._name)
        self._remove_abandoned()

    def _hold(self) -> bool:
        """Lock the folders; whether none of them is another server's."""
        self._let_go()
        self._locks = [lock for path in self._folders if (lock := _locked(path)) >= 0]
        return len(self._locks) == sum(path.is_dir() for path in self._folders)

    def _let_go(self) -> None:
        while self._locks:
            os.close(self._locks.pop())

    def _find(self) -> None:
        """The folders above the groups of workers, in every tree."""
        trees = _own_groups()
        unified = trees.get("")
        if unified is not None and "memory" in _words(unified / "cgroup.controllers"):
            self.version = 2
            unified = self._open_unified(unified)
        else:
            for controller in CONTROLLERS:
                self._open_tree(controller, trees.get(controller))
        self._folders = set(self._parents.values())
        self._unified = unified
        if unified is not None:
            self._folders.add(unified / self._name)

    def _remove_abandoned(self) -> None:
        """Groups of servers that were killed and whose data folder has no server any more."""
        beside = {path.name for own in self._folders for path in own.parent.glob(_OURS)}
        for name in beside - {self._name}:
            _remove_together([own.with_name(name) for own in self._folders])

    def _open_fence(self, folder: Path) -> None:
        """The zygotes' group: whatever they fork begins there."""
        with contextlib.suppress(OSError):
            (folder / _ZYGOTES).mkdir(parents=True, exist_ok=True)
            self.fence = folder

    @property
    def zygotes(self) -> str:
        """The file by which a zygote joins the fence, '' where there is none."""
        if self.fence is not None and not (self.fence / _ZYGOTES).is_dir():
            with contextlib.suppress(OSError):  # then the zygote says so
                self._restore()
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
        try:
            return self._group(joins_as)
        except FileNotFoundError:
            self._restore()
            return self._group(joins_as)

    def _group(self, joins_as: int) -> Group:
        name = f"w{next(self._numbers)}"
        group = Group(self.version, {controller: path / name for controller, path in self._parents.items()})
        group.open(joins_as)
        return group

    def _restore(self) -> None:
        """Make the folders again, which somebody has removed under us. Raises OSError."""
        _log.warning("the server's control groups have been removed; they are made again")
        for path in self._folders:
            path.mkdir(exist_ok=True)
        if self.version == 2 and self._parents:
            folder = next(iter(self._parents.values()))
            switch_on = " ".join(f"+{each}" for each in self._parents)
            (folder / "cgroup.subtree_control").write_text(switch_on, encoding="ascii")
        self._hold()
        if self.fence is not None:
            self._open_fence(self.fence)
            self._on_fence(self.fence)

    def give_back(self, group: Group) -> None:
        """The worker is gone; what the kernel still holds is removed later."""
        if not group.remove():
            self._left.append(group)

    def close(self) -> None:
        """Every worker is gone."""
        for path in self._folders:
            sweep(path, itself=True)
        self._let_go()


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
    """Kill what runs in the groups below a folder, and remove them. What cannot be removed stays for the next time."""
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


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder of a server's groups, until it is closed; -1 if somebody else does, or nobody
    may.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor


def _is_inhabited(folder: Path) -> bool:
    return any(_lines(group / "cgroup.procs") for group in (folder, *folder.glob("*/")))


def _remove_empty(folder: Path) -> None:
    for group in (*folder.glob("w*"), folder):
        with contextlib.suppress(OSError):  # somebody has come in, or it was never there
            group.rmdir()


def _remove_together(folders: list[Path]) -> None:
    """Remove the groups of one server in every tree, if nobody holds them or lives in them."""
    locks = [_locked(folder) for folder in folders if folder.is_dir()]
    if min(locks, default=-1) >= 0 and not any(map(_is_inhabited, folders)):
        for folder in folders:
            _remove_empty(folder)
    for lock in locks:
        if lock >= 0:
            os.close(lock)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _words(path: Path) -> set[str]:
    return {word for line in _lines(path) for word in line.split()}
