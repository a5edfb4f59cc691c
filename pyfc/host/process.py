"""One worker process, seen from the supervisor: its moment of death, the reason for it, and how to end it.

1. The moment comes from the pidfd, which the zygote opened before it could have waited for the process.
2. The reason comes from the zygote's Exited report. It is normally there within a millisecond; if the zygote is gone
   it never comes, so the death is told without a reason after `REPORT_GRACE`.
3. Where the system has no pidfd (macOS), the report is the moment too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psutil

_MEGABYTE = 1024 * 1024
_SHORT_OF_MEMORY = 0.05
"""Part of the machine's memory that is still to be had."""
PROCESSES = 1024
"""Processes and threads of an instance: FC's limit."""
REPORT_GRACE = 0.2
"""Seconds to wait for the reason of a death that the pidfd has told."""


def in_thread(work: Callable[..., object], *arguments: object) -> None:
    """Do something that may take a while in a thread, or at once if this host has no thread left."""
    try:
        asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    except RuntimeError:
        work(*arguments)


def is_memory_short() -> bool:
    """Whether the machine has so little memory left that nothing should be kept for later."""
    try:
        memory = psutil.virtual_memory()
    except OSError:
        return False  # there is no descriptor left to ask with
    return bool(memory.available < memory.total * _SHORT_OF_MEMORY)


class Exit(NamedTuple):
    """How a process ended."""

    status: int | None
    """Exit status, negative for the signal that killed it, None if nobody could tell."""
    peak_memory: int
    """Largest resident size in bytes, 0 if nobody could tell."""
    is_lost: bool = False
    """It ended because the zygote or keeper did that had started it, and not by anything that it did itself."""


class Memory:
    """The kernel's figures about a process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        try:
            self._descriptor = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._descriptor = -1  # there is no /proc, or the process has ended

    def peak(self) -> float:
        """Its largest resident size so far in MB (the present one where there is no /proc); 0 if it is gone."""
        if self._pid < 1:
            return 0.0  # it had ended before anybody could ask for its number
        try:
            if self._descriptor < 0:
                return float(psutil.Process(self._pid).memory_info().rss) / _MEGABYTE
            text = os.pread(self._descriptor, 4096, 0)
        except (OSError, psutil.Error):
            return 0.0
        at = text.find(b"VmHWM:")
        return int(text[at + 6 : text.index(b"kB", at)]) / 1024 if at >= 0 else 0.0

    def close(self) -> None:
        """Nobody will ask any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def tree(pid: int, most: int) -> Iterator[int]:
    """A process and what is below it, at most so many; nothing is below it where the system does not tell."""
    left, count = [pid], 0
    while left and count < most:
        current = left.pop()
        count += 1
        yield current
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{current}/task"):
                left += _children(f"/proc/{current}/task/{task}/children", most)


def _children(path: str, most: int) -> list[int]:
    """The children of a thread, some hundred more than `most` of them: reading on costs the kernel the square of their
    number, with a lock that stops every fork of the machine.
    """
    text = b""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while text.count(b" ") < most and (piece := os.read(descriptor, 4096)):
            text += piece
    finally:
        os.close(descriptor)
    return [int(each) for each in text[: text.rfind(b" ") + 1].split()]


class Process:
    """A running worker."""

    def __init__(self, pid: int, pidfd: int | None) -> None:
        self.pid = pid
        self.exit: Exit | None = None
        self.pidfd = pidfd
        self._on_exit: Callable[[Exit], None] = lambda _: None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_orphan = False
        if pidfd is not None:
            self._loop.add_reader(pidfd, self._died)

    def when_gone(self, action: Callable[[Exit], None]) -> None:
        """Have `action` called, once and in the loop, when it has ended."""
        self._on_exit = action

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process, never another one that got its number."""
        if self.exit is not None:
            return
        try:
            if self.pidfd is not None:
                signal.pidfd_send_signal(self.pidfd, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return  # it has ended by itself; its exit is on the way
        if number == signal.SIGKILL:
            # Those that it has started too, all at once. They would end with it, in their namespace or by whoever
            # waits for it, but a bomb of them may keep it from getting the processor that it needs to end.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def send_signal_to_all(self, number: signal.Signals) -> None:
        """Signal the process and what it has started, each before its children are looked for: SIGSTOP, SIGCONT."""
        if self.exit is not None:
            return
        for pid in tree(self.pid, PROCESSES):
            if pid == self.pid:
                self.send_signal(number)
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)

    def reported(self, status: int, peak_memory: int) -> None:
        """The zygote has waited for the process. `status` as from waitpid."""
        self._finish(Exit(os.waitstatus_to_exitcode(status), peak_memory))

    def orphaned(self) -> None:
        """The zygote is gone, so nobody will report the end: make sure that there is one."""
        self.send_signal(signal.SIGKILL)
        self._is_orphan = True
        if self.pidfd is None or self._timer is not None:
            self._loop.call_soon(self._finish, Exit(None, 0))  # what follows from it must not disturb the others' end

    def _died(self) -> None:
        assert self.pidfd is not None
        self._loop.remove_reader(self.pidfd)
        self._timer = self._loop.call_later(REPORT_GRACE, self._finish, Exit(None, 0))

    def _finish(self, how: Exit) -> None:
        if self.exit is not None:
            return
        self.exit = how = how._replace(is_lost=self._is_orphan)
        if self._timer is not None:
            self._timer.cancel()
        if self.pidfd is not None:
            self._loop.remove_reader(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = None
        self._on_exit(how)
