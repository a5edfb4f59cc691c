"""The control groups of one worker: what it is told by files of the kernel, and what it tells.

Versions 1 and 2 of control groups differ in names of files; those are in one table.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pyfc.sandbox.inside.kernel import change_user

_MEGABYTE = 1024 * 1024
CROWD = 256
"""Processes and threads from which on an instance is one, until it is half as many."""
_PERIOD = 20_000
"""Microseconds in which a crowd gets its part of the processors."""
_LEAST, _PART = 0.15, 0.075
"""Of one processor, and of all that this server may use: a crowd gets the larger one."""


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
        self.folders = folders
        """By controller; in version 2 the same for all."""
        self._descriptors: dict[str, int] = {}
        self.memory_size = 0
        """Bytes that the processes may hold; 0 while nothing is limited."""
        self.is_crowd = False
        """Whether it has so many processes that it gets little of the processors, also for its end."""

    @property
    def name(self) -> str:
        """The last part of its folders' paths."""
        return next(iter(self.folders.values())).name

    def open(self, joins_as: int) -> None:
        """Make the folders, and the tickets to join. Raises OSError, leaving nothing behind.

        A ticket for a user lets its holder move processes of that user alone: the kernel asks who has opened it. In
        version 2 there are none for users; `take` does it.
        """
        try:
            for folder in dict.fromkeys(self.folders.values()):
                folder.mkdir()
                if not joins_as:
                    self.tickets.append(os.open(folder / self._files.join, os.O_WRONLY | os.O_CLOEXEC))
                elif self._version == 1:
                    self.tickets.append(_opened_by(joins_as, folder / self._files.join))
            if "memory" in self.folders and self._files.as_one:
                self._write("memory", self._files.as_one, 1)
            self._open_counters()
        except OSError:
            self.remove()
            raise

    def _open_counters(self) -> None:
        paths = {}
        if "memory" in self.folders:
            files = {name: getattr(self._files, name) for name in ("usage", "peak", "events")}
            paths = {name: self.folders["memory"] / file for name, file in {**files, "stat": "memory.stat"}.items()}
        if {"pids", "cpu"} <= self.folders.keys():
            paths["processes"] = self.folders["pids"] / "pids.current"
        for name, path in paths.items():
            with contextlib.suppress(FileNotFoundError):  # memory.peak is of Linux 5.19
                self._descriptors[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def is_joined(self) -> bool:
        """Whether whoever has the tickets joins by them, or is to be taken in."""
        return self._version == 1

    def take(self, pid: int) -> None:
        """Take in a process. Raises OSError."""
        for folder in dict.fromkeys(self.folders.values()):
            (folder / self._files.join).write_text(str(pid), encoding="ascii")

    def close_tickets(self) -> None:
        """After the worker has its copies."""
        while self.tickets:
            os.close(self.tickets.pop())

    def limit(self, memory: int, disk: int, processes: int) -> None:
        """Set the limits. MB, MB, number. The processor is shared in proportion to memory, as FC does it."""
        if "memory" in self.folders:
            self.memory_size = memory * _MEGABYTE
            self._write("memory", self._files.hard, (memory + disk) * _MEGABYTE)
            swap = (memory + disk) * _MEGABYTE if self._version == 1 else 0
            with contextlib.suppress(OSError):  # a kernel that does not account swap
                self._write("memory", self._files.swap, swap)
        if "pids" in self.folders:
            self._write("pids", "pids.max", processes)
        if "cpu" in self.folders:
            share = memory / 1024
            weight = max(2, round(1024 * share)) if self._version == 1 else min(10000, max(1, round(100 * share)))
            self._write("cpu", self._files.weight, weight)

    def restrain(self) -> bool:
        """Give a crowd little of the processors, and what is none any more its share again; whether it has become one.
        What a thousand processes do in the kernel, where they fork, fail and end, counts for no group and keeps
        everybody waiting.
        """
        is_crowd = int(self._read("processes") or 0) > (CROWD // 2 if self.is_crowd else CROWD)
        if is_crowd == self.is_crowd:
            return False
        self.is_crowd = is_crowd
        quota = round(of_a_crowd() * _PERIOD) if is_crowd else 0
        with contextlib.suppress(OSError):  # a kernel without limits of this kind
            if self._version == 1:
                self._write("cpu", "cpu.cfs_period_us", _PERIOD)
                self._write("cpu", "cpu.cfs_quota_us", quota or -1)
            else:
                self._write("cpu", "cpu.max", f"{quota or 'max'} {_PERIOD}")
        return is_crowd

    def freeze(self, *, frozen: bool) -> bool:
        """Stop all its processes, or let them go on. False where that cannot be done so that they can still be killed:
        in version 1 a frozen process does not even end with the server.
        """
        if self._version == 1:
            return False
        for folder in dict.fromkeys(self.folders.values()):
            try:
                (folder / "cgroup.freeze").write_text("1" if frozen else "0", encoding="ascii")
            except OSError:
                return False
        return True

    @property
    def counts_memory(self) -> bool:
        """Whether the kernel counts what its processes hold."""
        return "memory" in self.folders

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
        for folder in set(self.folders.values()):
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

    def _write(self, controller: str, file: str, value: int | str) -> None:
        (self.folders[controller] / file).write_text(f"{value}\n", encoding="ascii")


def of_a_crowd() -> float:
    """Processors that a crowd gets."""
    return max(_LEAST, len(os.sched_getaffinity(0)) * _PART)


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
