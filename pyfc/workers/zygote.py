"""The supervisor's end of the control socket of a zygote or a keeper.

1. The zygote is started with posix_spawn and a clean environment; this process never forks itself. A keeper is a fork
   of the zygote.
2. Nested comes first from a zygote. Fork, Keep and Bear go out with descriptors, Forked comes back with a pidfd, Exited
   when a process was waited for. The frames are those of the wire; runtimes/README.md lists them.
3. Numbers of processes that are told are those of the other side's own namespace; a pidfd knows ours.
4. When the socket closes the other side is gone and its processes die with it (the kernel was asked for that).
"""

from __future__ import annotations

import array
import asyncio
import errno
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgpack

from pyfc.errors import HostRefused, InstanceLost, NoDescriptors, refusing
from pyfc.host.process import Process, in_thread
from pyfc.sandbox import inside
from pyfc.sandbox.inside import framing
from pyfc.wire import frames
from pyfc.workers.hearing import Hearing

_INSIDE = Path(inside.__file__).resolve().parent
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_CONTROL = 3
_ENDED = "its zygote has ended"
_LOST = -1
"""Stands for a descriptor that was sent and could not be received."""


def _spawn(interpreter: str, program: Path, profile: str, control: socket.socket) -> int:
    """Start `program` with `control` as its descriptor 3, its own session and nothing else of ours."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        actions: list[tuple[int, int, int]] = [
            (os.POSIX_SPAWN_DUP2, control.fileno(), _CONTROL),
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
        ]
        arguments = [interpreter, "-I", "-S", str(program), str(_CONTROL), str(_INSIDE), profile]
        return os.posix_spawn(
            interpreter,
            arguments,
            _ENVIRONMENT,
            file_actions=actions,
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGCHLD],
        )
    finally:
        os.close(null)


class NotMade(HostRefused):
    """this host refused a new instance: {reason}"""

    @property
    def is_untrusted(self) -> bool:
        """Not for want of room: a template is not what it must be."""
        return self.fields["number"] == errno.EPERM


class Control:
    """One control socket. Create it inside the running loop."""

    def __init__(self, ours: socket.socket) -> None:
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._socket = ours
        self._socket.setblocking(False)
        self._parser = framing.Parser()
        self._descriptors: deque[int] = deque()
        self._orders: dict[int, asyncio.Future[Any]] = {}
        """Those that wait for their answer, by token."""
        self._workers: dict[int, Process] = {}
        self._last_token = 0
        self._sending = asyncio.Lock()
        self._has_room: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._actions: dict[int, Callable[[int, list[Any]], None]] = {
            frames.FORKED: self._forked,
            frames.EXITED: self._exited,
            frames.NESTED: self._told,
            frames.FURNISHED: self._furnished,
        }
        self._hearing = Hearing(ours, self._readable)

    async def fork(self, limits: dict[str, int], descriptors: list[int]) -> Process:
        """A new worker with `descriptors` as frames in, frames out and output. Raises HostRefused."""
        return await self._make(frames.FORK, frames.Fork(limits), descriptors)

    async def furnish(self, process: Process, wish: dict[str, Any]) -> None:
        """Show a worker the code that was not known when it was started. Raises HostRefused."""
        if process.pidfd is None:
            raise HostRefused(reason="this system has no pidfds")
        reason: str = await self._order(frames.FURNISH, frames.Furnish(wish), [process.pidfd])
        if reason:
            raise HostRefused(reason=reason)

    async def _make(self, kind: int, header: tuple[object, ...], descriptors: list[int]) -> Process:
        """Have a process made. Raises HostRefused."""
        process: Process = await self._order(kind, header, descriptors)
        return process

    async def _order(self, kind: int, header: tuple[object, ...], descriptors: list[int]) -> Any:
        """What is answered: Forked's process, Furnished's reason. Raises HostRefused."""
        self._last_token += 1
        token = self._last_token
        future = self._orders[token] = self._loop.create_future()
        try:
            async with self._sending:
                await self._send(kind, token, header, descriptors)
            return await future
        finally:
            self._orders.pop(token, None)

    async def _send(self, kind: int, token: int, header: tuple[object, ...], descriptors: list[int]) -> None:
        packed = msgpack.packb(header)
        data = frames.PREFIX.pack(7 + len(packed), kind, token, len(packed)) + packed
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        sent = 0
        while not sent:
            if self.ended:
                raise InstanceLost(reason=_ENDED)
            try:
                sent = self._socket.sendmsg([data], rights)  # far below the socket's buffer: whole or not at all
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                raise InstanceLost(reason=f"{_ENDED} ({error.strerror})") from error

    async def _writable(self) -> None:
        future = self._has_room = self._loop.create_future()
        self._loop.add_writer(self._socket, _settle, future)
        try:
            await future
        finally:
            if not self.ended:
                self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        room = socket.CMSG_SPACE(64 * array.array("i").itemsize)
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(65536, room)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary, flags = b"", [], 0
        for _, _, payload in ancillary:
            received = array.array("i")
            received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
            self._descriptors.extend(received)
        if flags & socket.MSG_CTRUNC:
            self._descriptors.append(_LOST)
        if not data:
            self._end()
            return
        try:
            for kind, token, header, _ in self._parser.feed(data):
                if kind in self._actions:
                    self._actions[kind](token, msgpack.unpackb(header))
        except (ValueError, TypeError, LookupError):
            self._end()  # what it says cannot be trusted any more: without its socket it ends, and its workers with it

    def _told(self, _token: int, header: list[Any]) -> None:
        """Nested; only a zygote sends it."""

    def _furnished(self, token: int, header: list[Any]) -> None:
        future = self._orders.get(token)
        if future is not None and not future.done():
            future.set_result(str(header[0]))

    def _forked(self, token: int, header: list[Any]) -> None:
        pid, has_pidfd, *reason = header[:3]
        pidfd = self._descriptors.popleft() if has_pidfd else None
        future = self._orders.pop(token, None)
        try:
            process = self._workers[pid] = _process(pid, pidfd, reason)
        except HostRefused as error:  # a worker that was forked all the same ends when its pipes are closed
            if future is not None and not future.done():
                future.set_exception(error)
            return
        if future is None or future.done():
            process.send_signal(signal.SIGKILL)  # nobody waits for it any more
        else:
            future.set_result(process)

    def _exited(self, _token: int, header: list[Any]) -> None:
        pid, status, peak = header[:3]
        process = self._workers.pop(pid, None)
        if process is not None:
            process.reported(status, peak)

    def _end(self) -> None:
        """The zygote has closed its socket: it is dead or dying."""
        if self.ended:
            return
        self.ended = True
        self._hearing.close()
        self._loop.remove_writer(self._socket)
        self._socket.close()
        if self._has_room is not None:
            _settle(self._has_room)
        while self._descriptors:
            if (descriptor := self._descriptors.popleft()) != _LOST:
                os.close(descriptor)
        self._fail(list(self._orders.values()))
        for process in list(self._workers.values()):
            process.orphaned()
        self._finish()

    @staticmethod
    def _fail(waiting: Sequence[asyncio.Future[Any]]) -> None:
        for future in waiting:
            if not future.done():
                future.set_exception(InstanceLost(reason=_ENDED))
                future.exception()  # nobody may be waiting for it

    def _finish(self) -> None:
        """The socket is closed: `_gone` is to be set when the process is no more."""
        _settle(self._gone)

    async def close(self) -> None:
        """End the other side and every process it still has; returns when it is gone."""
        if not self.ended:
            self._socket.shutdown(socket.SHUT_WR)
        await asyncio.shield(self._gone)


class Zygote(Control):
    """One warm interpreter, locked in by `profile` (sandbox.py)."""

    def __init__(self, interpreter: str, program: Path, profile: dict[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self.pid = _spawn(interpreter, program, json.dumps(profile), theirs)
        except BaseException:
            ours.close()
            raise
        super().__init__(ours)
        self.nested: asyncio.Future[frames.Nested] = self._loop.create_future()
        """How it has locked itself in; HostRefused if it ended before it could tell."""

    async def keep(self, *, network: bool) -> Keeper:
        """A keeper for one function. Raises HostRefused."""
        with refusing("no sockets"):
            ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await self._make(frames.KEEP, frames.Keep({"network": network}), [theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        return Keeper(ours, process)

    async def execute(self, order: frames.Exec, descriptors: list[int]) -> Process:
        """A worker that is a program. Raises HostRefused."""
        return await self._make(frames.EXEC, order, descriptors)

    def _told(self, _token: int, header: list[Any]) -> None:
        self.nested.set_result(frames.Nested(*header[:2]))

    def _finish(self) -> None:
        self._fail([self.nested])
        in_thread(self._reap)

    def _reap(self) -> None:
        """In a thread: waiting for a process that is about to end takes no time, but it may."""
        os.waitpid(self.pid, 0)
        self._loop.call_soon_threadsafe(_settle, self._gone)


class Keeper(Control):
    """The trusted parent of one function's template and of its copies."""

    def __init__(self, ours: socket.socket, process: Process) -> None:
        super().__init__(ours)
        self._process = process

    async def bear(self, order: frames.Bear, descriptors: list[int]) -> Process:
        """A copy of the template. Raises HostRefused."""
        return await self._make(frames.BEAR, order, descriptors)

    def _finish(self) -> None:
        if self._process.exit is not None:
            _settle(self._gone)
            return
        self._process.when_gone(lambda _: _settle(self._gone))
        self._process.send_signal(signal.SIGKILL)  # whatever it still has ends with it


def _process(pid: int, pidfd: int | None, reason: list[str]) -> Process:
    """The process that was told of. Raises HostRefused if there is none, or if it could not be ended here."""
    if pid < 0:
        raise NotMade(number=-pid, reason=reason[0] if reason and -pid == errno.EPERM else os.strerror(-pid))
    return Process(pid if pidfd is None else _number(pidfd), pidfd)


def _number(pidfd: int) -> int:
    """The number that a process has here, whatever it has in its own namespace. Raises NoDescriptors if this process
    has none left: for the pidfd, which is then closed or has not come, or to ask with.
    """
    if pidfd == _LOST:
        raise NoDescriptors(reason="its process cannot be told of")
    try:
        text = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii")
    except OSError as error:
        os.close(pidfd)
        raise NoDescriptors(reason=f"its process cannot be asked for ({error.strerror})") from error
    return int(text.partition("Pid:")[2].split()[0])


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
