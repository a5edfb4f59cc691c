"""A LaunchSpec becomes a Worker. One file per way in `launchers/`, named as `runtime.toml` names it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pyfc.host.ahead import open_claims
from pyfc.host.process import Process
from pyfc.host.runtimes import Runtime
from pyfc.host.sandbox import Cell

_PIPE_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """What a launcher needs to know of a worker; the function itself comes later, in the Init frame."""

    runtime: Runtime
    limits: dict[str, int]
    """Resource limits by the name after RLIMIT_."""


class Pipes:
    """The three pipes of one worker, and our claim on what it has not read. The supervisor's ends do not block; whoever
    takes an end closes it.
    """

    def __init__(self) -> None:
        self.theirs: list[int] = []
        self.ours: list[int] = []
        try:
            for outgoing in (True, False, False):  # frames in, frames out, output: as the worker sees them
                read, write = os.pipe()
                self.theirs.append(read if outgoing else write)
                self.ours.append(write if outgoing else read)
                os.set_blocking(self.ours[-1], False)
        except OSError:
            self.close()
            raise
        for descriptor in self.ours[:2]:
            _widen(descriptor)
        self.ours.append(open_claims(self.theirs[0]))

    def close_theirs(self) -> None:
        """After the worker has its copies."""
        while self.theirs:
            os.close(self.theirs.pop())

    def close(self) -> None:
        """Both sides, when there will be no worker."""
        self.close_theirs()
        while self.ours:
            if (descriptor := self.ours.pop()) >= 0:
                os.close(descriptor)


def _widen(descriptor: int) -> None:
    """Give a pipe room for a large frame; the kernel may refuse an ordinary user who has many."""
    if not sys.platform.startswith("linux"):
        return
    import fcntl  # noqa: PLC0415  the constant exists on Linux alone

    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    except PermissionError:
        return  # the default size works as well, only slower


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A started process and the supervisor's ends of its pipes. The link closes the descriptors."""

    process: Process
    incoming: int
    """Frames from the worker."""
    outgoing: int
    """Frames to the worker."""
    output: int
    """What it writes to its descriptors 1 and 2."""
    claims: int
    """Takes back frames to the worker that it has not read (ahead.py); -1 where that is impossible."""
    cell: Cell
    give_back: Callable[[Cell], None]

    def close(self) -> None:
        """It is gone: close the descriptors, give its cell back."""
        for descriptor in (self.incoming, self.outgoing, self.output, self.claims):
            if descriptor >= 0:
                os.close(descriptor)
        self.give_back(self.cell)


class Launcher(Protocol):
    """One way to start workers."""

    async def launch(self, spec: LaunchSpec) -> Worker:
        """Start one. Raises HostRefused when the host has no room, leaving nothing behind."""

    async def close(self) -> None:
        """End what the launcher itself keeps running, workers included."""
