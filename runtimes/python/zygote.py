"""The warm interpreter of the Python runtime: single-threaded, trusted, runs no user code, forks workers.

    python -I -S zygote.py CONTROL HOST PROFILE

CONTROL is the descriptor of a stream socket to the supervisor, HOST the folder with `enter.py`, PROFILE a JSON object
for it. Rules:

0. First of all it locks itself in (enter.py), and tells how far it came: Nested. The process that was started stays
   outside of the namespaces and waits for the one that becomes the zygote.
1. It reads Fork(limits) with descriptors, answers Forked(pid) with a pidfd, and goes on.
2. Whoever forks reaps: a worker that has ended is waited for here and reported as Exited. Before it is waited for,
   while its number can not belong to anyone else, everything left in its process group is killed.
3. When the supervisor goes away (end of file), every worker's group is killed and the zygote ends.
"""

from __future__ import annotations

import sys

_BARE = frozenset(sys.modules)
_HERE, _HOST = __file__.rpartition("/")[0], sys.argv[2]
sys.path[:0] = [_HERE, _HOST]

import array  # noqa: E402  what is loaded from here on is ours, not the bare interpreter's
import errno  # noqa: E402
import fcntl  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from typing import Any, NoReturn  # noqa: E402

import bootstrap  # noqa: E402
import context  # noqa: E402
import enter  # noqa: E402
import output  # noqa: E402
import wire  # noqa: E402

_REHEARSALS = 20
_END_GRACE = 2
_UNUSED_MODULE = "nturl2path"
"""A small module of the standard library that nobody needs: importing it is importing."""
_OURS = ("bootstrap", "calls", "context", "enter", "kernel", "output", "root", "threads", "wire", "wsgi")
_PIPES = 3
_MOST_DESCRIPTORS = 16


class _Zygote:
    def __init__(self, control: int, cage: enter.Cage) -> None:
        self._cage = cage
        self._control = socket.socket(fileno=control)
        self._workers: set[int] = set()
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def tell(self) -> None:
        """How far it has come in locking itself in."""
        self._send(wire.NESTED, 0, (self._cage.mode, self._cage.missing))

    def run(self) -> dict[str, int]:
        """Serve the supervisor. Returns in each worker, with the worker's limits; never in the zygote itself."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wake_read in ready:
                self._reap()
            if self._control.fileno() in ready:
                message = self._receive()
                if message is None or message[0] == wire.SHUTDOWN:
                    self._end()
                if message[0] == wire.FORK:
                    limits = self._fork(*message[1:])
                    if limits is not None:
                        return limits

    def _receive(self) -> tuple[int, int, list[Any], list[int]] | None:
        """One control frame: (type, token, header, descriptors); None at the end of the stream."""
        room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
        try:
            head, ancillary, _, _ = self._control.recvmsg(4, room)
        except ConnectionResetError:
            return None  # the supervisor was killed before it had read what it was sent
        if not head:
            return None
        descriptors = array.array("i")
        for _, _, data in ancillary:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        size = int.from_bytes(head + self._exactly(4 - len(head)), "big")
        body = self._exactly(size)
        header_size = int.from_bytes(body[5:7], "big")
        token = int.from_bytes(body[1:5], "big")
        return body[0], token, wire.unpack(body[7 : 7 + header_size]), list(descriptors)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                chunk = self._control.recv(size - len(data))
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                self._end()
            data += chunk
        return data

    def _send(self, kind: int, token: int, header: tuple[Any, ...], descriptors: Sequence[int] = ()) -> None:
        data = wire.encode(kind, token, header)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            sent = self._control.sendmsg([data], ancillary)
            self._control.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError):
            self._end()

    def _fork(self, token: int, header: list[Any], descriptors: list[int]) -> dict[str, int] | None:
        """Fork one worker. Returns its limits in the worker, None in the zygote."""
        try:
            pid = self._cage.fork()
        except OSError as error:
            self._send(wire.FORKED, token, (-(error.errno or errno.EAGAIN), False))
            pid = -1
        if pid == 0:
            self._become_worker(descriptors)
            limits: dict[str, int] = header[0]
            return limits
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._workers.add(pid)
            self._announce(token, pid)
        return None

    def _announce(self, token: int, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self._send(wire.FORKED, token, (pid, False))
            return
        self._send(wire.FORKED, token, (pid, True), [pidfd])
        os.close(pidfd)

    def _become_worker(self, descriptors: list[int]) -> None:
        """Join the control groups. Descriptors 1 and 2 are the output pipe, 3 and 4 the frames; nothing else stays."""
        for ticket in descriptors[_PIPES:]:
            os.write(ticket, b"0")
        self._control.detach()  # its number is about to be another descriptor's
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for source, place in zip(_above(descriptors[:_PIPES], _MOST_DESCRIPTORS + 16), (3, 4, 1)):
            os.dup2(source, place, inheritable=place == 1)
        os.dup2(1, 2)
        os.closerange(5, _descriptor_limit())

    def _reap(self) -> None:
        """Wait for every worker that has ended, kill what it left behind, and report it."""
        try:
            while os.read(self._wake_read, 4096):
                pass
        except BlockingIOError:
            pass
        while self._workers:
            ended = _ended_child()
            if ended is None:
                return
            pid, status, usage = ended
            self._workers.discard(pid)
            peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
            self._send(wire.EXITED, 0, (pid, status, peak))

    def _end(self) -> NoReturn:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))  # the first process of a namespace needs a handler
        signal.alarm(_END_GRACE)  # a worker that can not be killed must not keep the zygote
        for pid in self._workers:
            _kill_group(pid)
            os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            os.waitpid(pid, 0)
        os._exit(0)


def _above(descriptors: list[int], floor: int) -> list[int]:
    """The descriptors, copied to numbers from `floor` on, so that moving them into place overwrites none of them."""
    return [fcntl.fcntl(descriptor, fcntl.F_DUPFD, floor) for descriptor in descriptors]


def _descriptor_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 65536


def _ended_child() -> tuple[int, int, resource.struct_rusage] | None:
    """A worker that has ended, as from wait4, after the end of all that it left in its process group."""
    if hasattr(os, "waitid"):
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        _kill_group(ended.si_pid)  # its number can not be anybody else's before it is waited for
        return os.wait4(ended.si_pid, 0)
    pid, status, usage = os.wait4(-1, os.WNOHANG)  # macOS before Python 3.13
    if pid == 0:
        return None
    _kill_group(pid)
    return pid, status, usage


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # the group is empty, or (macOS) holds only zombies


def _forget_ourselves() -> None:
    """User code finds no module of ours, neither loaded nor on the path."""
    sys.path[:] = [folder for folder in sys.path if folder not in {_HERE, _HOST}]
    for name in _OURS:
        del sys.modules[name]


def _rehearse() -> None:
    """Do once, without consequences, what every worker does first.

    A page that is first written in a worker is copied there; code that has run here is specialised, its memory is
    allocated, and its pages are shared.
    """
    init = {"A" * 20: "b" * 30, "numbers": [0, 1, 200, 70000, -1, None, True, "x" * 300]}
    for _ in range(_REHEARSALS):
        wire.unpack(wire.pack([init, init]))
        wire.unpack(wire.pack((False, 100, "r" * 36, 0, 0, 1 << 40, None, None)))
        wire.plain_reply(1, b"x", False)
        compile("import json\n\n\ndef handler(event, context):\n    return json.dumps({'a': [1]})\n", "<none>", "exec")
        context.rehearse()
        output.rehearse()
    importlib.import_module(_UNUSED_MODULE)
    del sys.modules[_UNUSED_MODULE]


def main() -> None:
    """Fork workers; in each of them, enter its limits and serve."""
    bootstrap.KEPT = _BARE
    control = int(sys.argv[1])
    os.set_inheritable(control, False)
    sys.executable = os.path.realpath(sys.executable)  # a virtual environment is no function's to see
    cage = enter.nest(json.loads(sys.argv[3]))
    zygote = _Zygote(control, cage)
    zygote.tell()  # the server goes on with its own start meanwhile
    _rehearse()
    _forget_ourselves()
    gc.collect()
    gc.freeze()
    limits = zygote.run()
    cage.begin(limits)
    bootstrap.main(3, 4, cage.settle)


main()
