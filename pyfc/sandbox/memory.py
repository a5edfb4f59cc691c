"""Keeps instances to their memorySize while they run calls, and crowds of processes to a part of the processors.

1. What counts is what the processes of an instance hold together: not files, not what lies in /tmp.
2. With control groups the kernel counts, and has a harder limit of its own (groups.py); without them the trees of
   processes are added up here. What several processes share is found out by a thread: the kernel answers that question
   only when the process lets it, so it may never. Memory without a name that is mapped to be shared counts as it is
   mapped, once: the kernel shows nobody which of it is in use.
3. Without control groups this is also how the largest memory of several processes together becomes known.
4. An instance is looked at while it starts or has calls: the first call after a pause starts the watch (lifeline.py),
   so no call pays for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from pyfc.host.process import tree
from pyfc.sandbox.group import Group

_log = logging.getLogger(__name__)

INTERVAL = 0.02
"""Seconds between two looks, in which a fast bomb takes some tens of megabytes."""
_SCAN_INTERVAL = 0.1
"""The same where each look reads every process of the machine."""
_SHARE = 10
"""A look that took long is followed by a pause of as many times that: a bomb of processes must not keep the server from
ending it.
"""
_MOST = 256
"""Processes of an instance that are added up; of more, that these hold too much is enough to know."""
_SAMPLE = 16
"""Processes of an instance whose part of shared pages is asked for; the kernel takes up to 0.1 ms for each."""
_ANSWER = 0.5
"""Seconds in which the kernel says what processes share; who does not let it has taken too much."""
_SILENCE = 5.0
"""Seconds in which it tells what they map; who does not let it, and maps much more than before, has taken too much."""
_GROWTH = 1024 * 1024
"""Bytes by which several processes have grown when it is asked again what they share."""
_REREAD = 1.0
"""Seconds after which it is read again what a process maps, also if it looks the same."""
_PAGE = os.sysconf("SC_PAGESIZE")
_NAMELESS = (b"/dev/zero (deleted)", b"[anon_shmem:", b"/memfd:", b"/SYSV")
"""How /proc/PID/maps shows shared memory that is no file of a file system."""


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

    def saw(self, held: int) -> None:
        """Its processes were seen to hold so many bytes together."""

    def crowded(self) -> None:
        """It has become a crowd (group.py)."""

    def exhaust(self, held: int) -> None:
        """It holds more bytes than it may, or the kernel has killed one of its processes for that."""


class Watch:
    """The watch of one server."""

    def __init__(self) -> None:
        self._by_group = False
        self._watched: set[Watched] = set()
        self._failed: set[Watched] = set()
        """Who could not be looked at, which has been told."""
        self._asked: dict[Watched, float] = {}
        """Whose shared memory a thread finds out, since when."""
        self._known: dict[Watched, _Known] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, worker: Watched) -> None:
        """Look at it until it is active no more; not at one that may hold any amount."""
        if not worker.memory_size:
            return
        self._watched.add(worker)
        if self._timer is None:
            self._arm()

    def count_by_group(self, is_so: bool) -> None:
        """Whether an instance's processes are those of its process group (without process namespaces a daemon has no
        other mark), else those below its worker.
        """
        self._by_group = is_so

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._watched.clear()
        self._asked.clear()
        self._known.clear()

    def _arm(self, took: float = 0.0) -> None:
        interval = max(_SCAN_INTERVAL if self._by_group else INTERVAL, took * _SHARE)
        self._timer = asyncio.get_running_loop().call_later(interval, self._look)

    def _look(self) -> None:
        self._timer = None
        began = time.monotonic()
        try:
            self._look_at_all(began)
        finally:
            if self._watched:
                self._arm(time.monotonic() - began)

    def _forget_inactive(self) -> None:
        self._watched = {worker for worker in self._watched if worker.is_active}
        self._asked = {worker: since for worker, since in self._asked.items() if worker in self._watched}
        self._known = {worker: known for worker, known in self._known.items() if worker in self._watched}
        self._failed &= self._watched

    def _members(self) -> dict[int, list[int]]:
        """The processes of those whom no control group counts, by their process group if that is what they have."""
        counted = [worker for worker in self._watched if worker.group is None or not worker.group.counts_memory]
        return _groups(worker.pid for worker in counted) if self._by_group and counted else {}

    def _look_at_all(self, began: float) -> None:
        self._forget_inactive()
        members = self._members()
        for worker in list(self._watched):
            try:
                self._look_at(worker, members, began)
            except Exception:  # the others are looked at all the same
                if worker not in self._failed:
                    _log.exception("process %d can not be watched", worker.pid)
                self._failed.add(worker)

    def _look_at(self, worker: Watched, members: Mapping[int, list[int]], began: float) -> None:
        if worker.group is not None and worker.group.restrain():
            worker.crowded()
        if worker.group is not None and worker.group.counts_memory:
            held = _held(worker.group)
            if held > worker.memory_size or worker.group.is_out_of_memory():
                worker.exhaust(held)
        else:
            self._count(worker, members.get(worker.pid) or list(tree(worker.pid, _MOST)), began)

    def _count(self, worker: Watched, pids: list[int], now: float) -> None:
        """Add up what the processes hold. What several share, and what is mapped to be shared, is asked when it looks
        like too much, when they hold or map more than before, and after a while.
        """
        found = {pid: size for pid in pids if (size := anonymous(pid))}
        outline = sum(map(_not_private, found))
        known = self._known.get(worker, _NOTHING)
        held = sum(found.values()) + known.mapped
        is_much = held > worker.memory_size
        if is_much and known.is_all_told(found):
            self._asked.pop(worker, None)
            worker.exhaust(held)
        elif worker in self._asked:
            hides = outline - known.outline > worker.memory_size
            if _is_too_long(now - self._asked[worker], is_much=is_much, hides=hides):
                worker.exhaust(held)
        elif is_much or known.is_old(found, held, outline, now):
            self._asked[worker], self._known[worker] = now, known._replace(held=held)
            self._start_asking(worker, found, outline)

    def _start_asking(self, worker: Watched, found: dict[int, int], outline: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            threading.Thread(target=self._ask, args=(worker, found, outline, loop), daemon=True).start()
        except RuntimeError:  # this host has no thread left
            self._ask(worker, found, outline, loop)

    def _ask(self, worker: Watched, found: dict[int, int], outline: int, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread."""
        held = shared(found) if len(found) > 1 else sum(found.values())
        nameless_bytes = mapped(found)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._answered, worker, held, nameless_bytes, outline)

    def _answered(self, worker: Watched, held: int, nameless_bytes: int, outline: int) -> None:
        if (since := self._asked.pop(worker, None)) is not None and worker.is_active:
            before = self._known.get(worker, _NOTHING)
            self._known[worker] = before._replace(mapped=nameless_bytes, outline=outline, when=since)
            worker.saw(held + nameless_bytes)
            if held + nameless_bytes > worker.memory_size:
                worker.exhaust(held + nameless_bytes)


def _is_too_long(waited: float, *, is_much: bool, hides: bool) -> bool:
    """Whether the kernel has been kept from its answer for so long that there is nothing else to conclude."""
    return (hides and waited > _SILENCE) or (is_much and waited > _ANSWER)


class _Known(NamedTuple):
    """What was found out about an instance when it was asked last."""

    held: int
    """Bytes that its processes held, each by itself."""
    outline: int
    """Bytes that they mapped and that were not their own to write."""
    mapped: int
    """Bytes of them that are nameless shared memory."""
    when: float

    def is_all_told(self, found: dict[int, int]) -> bool:
        """Whether what these processes hold is theirs alone: there is nobody who shares it."""
        return len(found) < 2 and not self.mapped

    def is_old(self, found: dict[int, int], held: int, outline: int, now: float) -> bool:
        """Whether it may have changed. One process alone shares nothing, however much it holds."""
        has_grown = len(found) > 1 and held > self.held + _GROWTH
        return has_grown or abs(outline - self.outline) >= _GROWTH or now - self.when > _REREAD


_NOTHING = _Known(0, 0, 0, float("-inf"))


def _held(group: Group) -> int:
    """Asking for everything together is cheap, and mostly says enough."""
    usage = group.usage()
    return group.anonymous() if usage > group.memory_size else usage


def mapped(pids: Iterable[int]) -> int:
    """Bytes of nameless shared memory that these processes map, each piece once. It may wait for a lock of theirs."""
    largest: dict[int, int] = {}
    for pid in pids:
        for inode, size in nameless(pid, _not_private(pid)).items():
            largest[inode] = max(size, largest.get(inode, 0))
    return sum(largest.values())


def nameless(pid: int, otherwise: int) -> dict[int, int]:
    """Bytes of shared memory without a name that a process maps, by its number. Of a process that lets nobody look, all
    that it may be: `otherwise`.
    """
    found: defaultdict[int, int] = defaultdict(int)
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            for line in file:
                area, rights, _, _, inode, *name = line.split(None, 5)
                if rights.endswith(b"s") and name and name[0].startswith(_NAMELESS):
                    start, _, end = area.partition(b"-")
                    found[int(inode)] += int(end, 16) - int(start, 16)
    except PermissionError:
        return {-pid: otherwise}
    except OSError:
        return {}  # it is gone
    return dict(found)


def _not_private(pid: int) -> int:
    """Bytes that a process maps and that are not its own to write; 0 if it is gone."""
    return _difference(pid, 0, 5)


def anonymous(pid: int) -> int:
    """Bytes that a process holds, files not counted, what it shares with others counted whole; 0 if it is gone."""
    return _difference(pid, 1, 2)


def _difference(pid: int, whole: int, part: int) -> int:
    """Bytes by which one number of a process's statm is larger than another; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            fields = file.read().split()
    except OSError:
        return 0
    return (int(fields[whole]) - int(fields[part])) * _PAGE


def shared(found: dict[int, int]) -> int:
    """Bytes that processes hold together, of what several of them share each its part. Of many a few are asked, and
    `found`, what they hold by themselves, stands in where the kernel does not say.
    """
    sample = list(found)[:: max(1, len(found) // _SAMPLE)]
    return sum(_share(pid, found[pid]) for pid in sample) * len(found) // len(sample)


def _share(pid: int, otherwise: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            text = file.read()
    except OSError:
        return otherwise
    at = text.find(b"Pss_Anon:")
    return int(text[at:].split(None, 2)[1]) * 1024 if at >= 0 else otherwise


def _groups(leaders: Iterable[int]) -> dict[int, list[int]]:
    """The process groups that have these leaders: leader -> its processes."""
    wanted = set(leaders)
    found: defaultdict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                group = int(file.read().rpartition(b")")[2].split()[2])
                if group in wanted and len(found[group]) < _MOST:
                    found[group].append(int(name))
    return found
