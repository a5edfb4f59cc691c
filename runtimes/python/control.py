"""The control socket of a zygote or a keeper: frames with descriptors, and the end of the children that were forked.
What it is asked for is in zygote.py and keeper.py, how a child is locked in, in enter.py.

1. Whoever forks reaps: a child that has ended is waited for here and reported as Exited. Before it is waited for,
   while its number cannot belong to anyone else, everything left in its process group is killed.
2. When the supervisor goes away (end of file), every child is killed and the process ends.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import enter
import framing
import wire

_END_GRACE = 2
PIPES = 3
KEPT = 6
"""A template's socket to its keeper. 5 is the output's own (output.py)."""
MOST_DESCRIPTORS = 16


class Control:
    """One end of a control socket."""

    def __init__(self, control: int) -> None:
        self._control = socket.socket(fileno=control)
        self._parser = framing.Parser()
        self._children: set[int] = set()
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._poll = select.poll()
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)

    def _forget(self) -> None:
        """In a child: nothing here is its own."""
        self._control.detach()  # its number may be about to be another descriptor's
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def next(self) -> tuple[int, int, list[Any], list[int]]:
        """The next frame: (type, token, header, descriptors). Children that end meanwhile are reported."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            if self._wake_read in ready:
                self._reap()
            if self._control.fileno() in ready:
                message = self._receive()
                if message is None or message[0] == wire.SHUTDOWN:
                    self._end()
                return message

    def _receive(self) -> tuple[int, int, list[Any], list[int]] | None:
        """One control frame: (type, token, header, descriptors); None at the end of the stream."""
        descriptors = array.array("i")
        room = socket.CMSG_SPACE(MOST_DESCRIPTORS * descriptors.itemsize)
        while True:  # never a byte of the next frame, whose descriptors would come with it
            try:
                data, ancillary, _, _ = self._control.recvmsg(self._parser.missing, room)
            except ConnectionResetError:
                return None  # the supervisor was killed before it had read what it was sent
            if not data:
                return None
            for _, _, rights in ancillary:
                descriptors.frombytes(rights[: len(rights) - len(rights) % descriptors.itemsize])
            whole = list(self._parser.feed(data))
            if whole:
                [(kind, token, header, _)] = whole
                return kind, token, wire.unpack(header), list(descriptors)

    def fork(self, token: int, descriptors: list[int], cage: enter.Cage) -> int:
        """Fork a child and tell of it: 0 in the child, its number here, -1 if there is none. `descriptors` are the
        child's.
        """
        try:
            pid: int = cage.fork()
        except OSError as error:
            self.send(wire.FORKED, token, (-(error.errno or errno.EAGAIN), False, "the fork failed"))
            pid = -1
        if pid == 0:
            self._forget()
            return 0
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self.announce(token, pid)
        return pid

    def send(self, kind: int, token: int, header: tuple[Any, ...], descriptors: Sequence[int] = ()) -> None:
        """Send one frame; the end of the process if there is nobody to read it."""
        data = wire.encode(kind, token, header)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            sent = self._control.sendmsg([data], ancillary)
            self._control.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError):
            self._end()

    def announce(self, token: int, pid: int) -> None:
        """A child has been forked."""
        self._children.add(pid)
        try:
            pidfd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self.send(wire.FORKED, token, (pid, False))
            return
        self.send(wire.FORKED, token, (pid, True), [pidfd])
        os.close(pidfd)

    def furnish(self, token: int, descriptors: list[int], cage: enter.Cage, wish: dict[str, Any]) -> None:
        """Show a worker, by its pidfd, the code that was not known when it was started, and tell how that went."""
        reason = ""
        try:
            cage.furnish_started(descriptors[0], wish)
        except OSError as error:
            reason = str(error)
        for descriptor in descriptors:
            os.close(descriptor)
        self.send(wire.FURNISHED, token, (reason,))

    def _reap(self) -> None:
        """Wait for every child that has ended, kill what it left behind, and report it."""
        try:
            while os.read(self._wake_read, 4096):
                pass
        except BlockingIOError:
            pass
        while True:
            ended = _ended_child()
            if ended is None:
                return
            pid, status, usage = ended
            if pid not in self._children:
                continue  # an orphan of a worker's
            self._children.discard(pid)
            peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
            self.send(wire.EXITED, 0, (pid, status, peak))

    def _end(self) -> NoReturn:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))  # the first process of a namespace needs a handler
        signal.alarm(_END_GRACE)  # a worker that cannot be killed must not keep the zygote
        for pid in self._children:
            _kill_group(pid)
            os.kill(pid, signal.SIGKILL)  # it may not lead its group yet
        for pid in self._children:
            os.waitpid(pid, 0)
        os._exit(0)


def become_worker(descriptors: list[int], kept: int = -1) -> None:
    """In a child: join its control groups; descriptors 1 and 2 are the output pipe, 3 and 4 the frames. Nothing else
    stays but `kept`, as KEPT.
    """
    join(descriptors[PIPES:])
    take_places(descriptors[:PIPES], kept)


def become_program(
    descriptors: list[int], cage: enter.Cage, limits: dict[str, int], wish: Any, argv: list[str], environment: Any
) -> NoReturn:
    """In a child: be another program, settled. What it cannot be is told in its output."""
    become_worker(descriptors)
    try:
        cage.begin(limits)
        cage.settle(wish)
        for descriptor in (PIPES, PIPES + 1):
            os.set_inheritable(descriptor, True)
        os.chdir("/")
        os.execve(argv[0], argv, environment)  # noqa: S606  that is what it is for
    except OSError as error:
        os.write(2, b"%s can not be started: %s\n" % (os.fsencode(argv[0]), str(error).encode()))
    os._exit(127)


def join(tickets: list[int]) -> None:
    """Join the control groups that these descriptors stand for."""
    try:
        for ticket in tickets:
            os.write(ticket, b"0")
    except OSError as error:
        if error.errno == errno.ENODEV:  # they were removed meanwhile: nobody waits for this process any more
            os._exit(1)
        raise


def take_places(pipes: list[int], kept: int = -1) -> None:
    """Move the pipes, and `kept`, to where a worker expects them, and close everything else."""
    wanted = [*pipes, kept] if kept >= 0 else pipes
    for source, place in zip(_above(wanted, MOST_DESCRIPTORS + 16), (3, 4, 1, KEPT)):
        os.dup2(source, place, inheritable=place == 1)
    os.dup2(1, 2)
    if kept >= 0:
        os.closerange(PIPES + 2, KEPT)
    os.closerange(KEPT + 1 if kept >= 0 else PIPES + 2, _descriptor_limit())


def take_only(descriptor: int) -> int:
    """Close every descriptor but this one and the first three; its new number."""
    os.dup2(descriptor, PIPES, inheritable=False)
    os.closerange(PIPES + 1, _descriptor_limit())
    return PIPES


def _above(descriptors: list[int], floor: int) -> list[int]:
    """The descriptors, copied to numbers from `floor` on, so that moving them into place overwrites none of them."""
    return [fcntl.fcntl(descriptor, fcntl.F_DUPFD, floor) for descriptor in descriptors]


def _descriptor_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 65536


def _ended_child() -> tuple[int, int, resource.struct_rusage] | None:
    """A worker that has ended, as from wait4, after the end of all that it left in its process group."""
    if hasattr(os, "waitid"):
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if ended is None:
            return None
        _kill_group(ended.si_pid)  # its number cannot be anybody else's before it is waited for
        return os.wait4(ended.si_pid, 0)
    try:
        pid, status, usage = os.wait4(-1, os.WNOHANG)  # macOS before Python 3.13
    except ChildProcessError:
        return None
    if pid == 0:
        return None
    _kill_group(pid)
    return pid, status, usage


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # the group is empty, or (macOS) holds only zombies
