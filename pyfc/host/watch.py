"""Keeps instances to their memorySize while they run calls.

1. What counts is what the processes of an instance hold together: not files, not what lies in /tmp.
2. With control groups the kernel counts, and has a harder limit of its own (cgroup.py); without them the trees of
   processes are added up here, with pages that they share counted once.
3. An instance is looked at while it starts or has calls: the first call after a pause starts the watch (lifeline.py),
   so no call pays for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from pyfc.host.cgroup import Group

INTERVAL = 0.02
"""Seconds between two looks; in which a fast bomb takes some tens of megabytes."""
_SCAN_INTERVAL = 0.1
"""The same where each look reads every process of the machine."""
_SAMPLE = 16
"""Processes of an instance whose part of shared pages is asked for; the kernel takes up to 0.1 ms for each."""
_PAGE = os.sysconf("SC_PAGESIZE")


class Watched(Protocol):
    """A worker that is watched."""

    @property
    def pid(self) -> int:
        """Its process."""

    @property
    def group(self) -> Group | None:
        """Its control groups."""

    @property
    def is_active(self) -> bool:
        """Whether it starts or may have calls; if not, it is not looked at again until it is added."""

    @property
    def memory_size(self) -> int:
        """Bytes that it may hold; 0 for any number."""

    def exhaust(self, held: int) -> None:
        """It holds more bytes than it may, or the kernel has killed one of its processes for that."""


class Watch:
    """The watch of one server. `by_group`: an instance's processes are those of its process group (without process
    namespaces a daemon has no other mark), else those below its worker.
    """

    def __init__(self) -> None:
        self.by_group = False
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, worker: Watched) -> None:
        """Look at it until it is active no more."""
        self._watched.add(worker)
        if self._timer is None:
            self._arm()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._watched.clear()

    def _arm(self) -> None:
        interval = _SCAN_INTERVAL if self.by_group else INTERVAL
        self._timer = asyncio.get_running_loop().call_later(interval, self._look)

    def _look(self) -> None:
        self._timer = None
        self._watched = {worker for worker in self._watched if worker.is_active}
        counted = [worker for worker in self._watched if worker.memory_size and worker.group is None]
        members = _groups(worker.pid for worker in counted) if self.by_group and counted else {}
        for worker in list(self._watched):
            group = worker.group
            if not worker.memory_size:
                continue
            held = _held(group) if group is not None else memory(members.get(worker.pid) or tree(worker.pid))
            if held > worker.memory_size or (group is not None and group.is_out_of_memory()):
                worker.exhaust(held)
        if self._watched:
            self._arm()


def _held(group: Group) -> int:
    """Asking for everything together is cheap, and mostly says enough."""
    usage = group.usage()
    return group.anonymous() if usage > group.memory_size else usage


def memory(pids: Iterable[int]) -> int:
    """Bytes that processes hold, files not counted; of what several of them share, each has its part."""
    found = [each for each in map(_anonymous, pids) if each]
    if len(found) <= 1:
        return sum(each for _, each in found)
    sample = found[:: max(1, len(found) // _SAMPLE)]
    return sum(_share(pid, each) for pid, each in sample) * len(found) // len(sample)


def _anonymous(pid: int) -> tuple[int, int] | None:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            fields = file.read().split()
    except OSError:
        return None
    return pid, (int(fields[1]) - int(fields[2])) * _PAGE


def _share(pid: int, otherwise: int) -> int:
    """The proportional part of what a process holds; all of it where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            text = file.read()
    except OSError:
        return otherwise
    at = text.find(b"Pss_Anon:")
    return int(text[at:].split(None, 2)[1]) * 1024 if at >= 0 else otherwise


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    found, left = [], [pid]
    while left:
        current = left.pop()
        found.append(current)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{current}/task"):
                with open(f"/proc/{current}/task/{task}/children", "rb") as file:
                    left += map(int, file.read().split())
    return found


def _groups(leaders: Iterable[int]) -> dict[int, list[int]]:
    """The process groups that have these leaders: leader -> its processes."""
    wanted = set(leaders)
    found: defaultdict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                group = int(file.read().rpartition(b")")[2].split()[2])
                if group in wanted:
                    found[group].append(int(name))
    return found
