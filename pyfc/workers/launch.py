"""A LaunchSpec becomes a Worker. One file per way in `launchers/`, named as `runtime.toml` names it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pyfc.errors import HostRefused, refusing
from pyfc.host.process import Process
from pyfc.host.runtimes import Runtime
from pyfc.model.function import Limits
from pyfc.sandbox.sandbox import Cell, Sandbox
from pyfc.wire.frames import Init
from pyfc.workers.ahead import open_claims

_PIPE_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TemplateSpec:
    """What a template needs to know of its function."""

    key: str
    """Functions with the same key share a template: whatever decides what it is like is in it."""
    init: Init
    """As for an instance, with `template` filled."""
    copy: Init
    """What its copies are told: nothing that they know from it."""
    confine: Callable[[Cell], dict[str, Any]]
    """What it settles into, its cell given the function's limits. Raises HostRefused."""
    shown: dict[str, str]
    """The code and the cache (`digest`, `cache`) that its copies are shown when they are needed; {} for the template's
    own.
    """
    disk: int
    """MB of their /tmp."""
    network: bool
    load_timeout: float
    initialization_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProgramSpec:
    """What a worker that is a program of its own is started with, or what has been started before is fitted with."""

    environment: dict[str, str]
    confine: Callable[[Cell], dict[str, Any]]
    """What it settles into, its cell given the function's limits. Raises HostRefused."""
    size: Limits
    """Its function's: a program may have to know its memory when it starts."""
    needs_start: bool
    """It can only be started for its function: it has no network, or declares what counts when a program starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """What a launcher needs to know of a worker; the function itself comes later, in the Init frame."""

    runtime: Runtime
    interpreter: str
    """The program that runs it, or its zygote."""
    limits: dict[str, int]
    """Resource limits by the name after RLIMIT_."""
    program: ProgramSpec | None = None
    """What a launcher of programs has to know beforehand of the function; None while it is nobody's."""
    template: TemplateSpec | None = None
    """What its template is to be, if it may be a copy of one."""

    def alone(self, confine: Callable[[Cell], dict[str, Any]]) -> LaunchSpec:
        """For a worker that settles otherwise than those of its function, and shares nothing with them."""
        program = replace(self.program, confine=confine, needs_start=True) if self.program is not None else None
        return replace(self, template=None, program=program)

    def without_template(self) -> LaunchSpec:
        """For a worker that does everything itself."""
        return replace(self, template=None)


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
    exhausted: bytes = b""
    """What it writes before it aborts for want of memory; b"" if that is not known."""
    prelude: bytes = b""
    """What its template wrote when it imported the function; the first copy has it."""
    init: Init | None = None
    """What it is to be told instead of its function's whole Init: it is a copy of a template."""
    is_initialized: bool = False
    """Its template has run the initializer."""

    def freeze(self) -> None:
        """Give all its processes no processor until `thaw`. It can still be killed."""
        if self.cell.group is None or not self.cell.group.freeze(frozen=True):
            self.process.send_signal_to_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.cell.group is None or not self.cell.group.freeze(frozen=False):
            self.process.send_signal_to_all(signal.SIGCONT)

    def close(self) -> None:
        """It is gone: close the descriptors, give its cell back."""
        for descriptor in (self.incoming, self.outgoing, self.output, self.claims):
            if descriptor >= 0:
                os.close(descriptor)
        self.give_back(self.cell)


async def start(
    sandbox: Sandbox,
    order: Callable[[Cell, list[int]], Awaitable[Process]],
    *,
    joins_as: int = 0,
    give_back: Callable[[Cell], None] | None = None,
) -> Worker:
    """A worker made by `order`, which gets its cell and its descriptors: frames in, frames out, output, tickets.
    `joins_as`: the user who joins its control groups, 0 for whoever forks. Raises HostRefused, leaving nothing behind.
    """
    cell = sandbox.cell(joins_as)
    try:
        with refusing("no pipes"):
            pipes = Pipes()
    except HostRefused:
        sandbox.give_back(cell)
        raise
    try:
        with refusing("no place for another instance"):
            if cell.uid:
                os.fchown(pipes.theirs[-1], cell.uid, cell.uid)  # so that it can open /dev/stdout
            tickets = cell.group.tickets if cell.group is not None else []
            process = await order(cell, [*pipes.theirs, *tickets])
    except BaseException:
        pipes.close()
        sandbox.give_back(cell)
        raise
    pipes.close_theirs()
    if cell.group is not None:
        cell.group.close_tickets()
    outgoing, incoming, output, claims = pipes.ours
    return Worker(
        process=process,
        incoming=incoming,
        outgoing=outgoing,
        output=output,
        claims=claims,
        cell=cell,
        give_back=give_back or sandbox.give_back,
    )


class Launcher(Protocol):
    """One way to start workers."""

    async def launch(self, spec: LaunchSpec) -> Worker:
        """Start one. Raises HostRefused when the host has no room, leaving nothing behind."""

    def status(self, spec: LaunchSpec) -> str:
        """Of the template of such workers: `ready`, `none` while it is not needed, or why there is none."""

    async def close(self) -> None:
        """End what the launcher itself keeps running, workers included."""
