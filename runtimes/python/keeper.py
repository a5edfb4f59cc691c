"""The keeper of one function: a fork of the zygote, trusted, the first process of its function's namespaces. It forks
the template, and furnishes and examines the template's copies (examine.py), which are its own children.
What the template does at its end is in births.py.

1. Fork starts the template, a worker like any other but for its filter and its socket to the keeper. A second Fork
   starts another one when the first is gone.
2. Bear has the template make a copy of itself. Every wait for a template or a copy has a deadline, and everything they
   say is checked: they have run code of the user.
3. An answer Forked with a negative number says in words why there is no copy.
"""

from __future__ import annotations

import array
import errno
import os
import select
import signal
import socket
import struct
from typing import Any, NoReturn

import births
import control
import enter
import examine
import wire

_DEADLINE = 2000
"""Milliseconds for each step of a copy."""
_CREDENTIALS = struct.Struct("3i")
_PASS_CREDENTIALS, _CREDENTIALS_MESSAGE = 16, 2


class Keeper(control.Control):
    """One keeper's loop. `wish`: network."""

    def __init__(self, descriptor: int, cage: enter.Cage, wish: dict[str, Any]) -> None:
        super().__init__(descriptor)
        self._cage = cage
        self._own = cage.keep(network=wish["network"])
        self._template = -1
        self._socket: socket.socket | None = None
        self._is_quiet = False

    def serve(self) -> tuple[dict[str, int], births.Births]:
        """Serve the supervisor. Returns in the template, with its limits and its socket."""
        while True:
            kind, token, header, descriptors = self.next()
            if kind == wire.FORK:
                copies = self._start(token, descriptors)
                if copies is not None:
                    return header[0], copies
            elif kind == wire.BEAR:
                self._bear(token, header, descriptors)
            elif kind == wire.FURNISH:
                self.furnish(token, descriptors, self._cage, header[0])

    def _start(self, token: int, descriptors: list[int]) -> births.Births | None:
        """Fork the template; its socket in it, None here."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if self._socket is not None:
            self._socket.close()
        self._socket, self._is_quiet = ours, False
        self._template = self.fork(token, descriptors, self._cage)
        if self._template == 0:
            control.become_worker(descriptors, theirs.fileno())
            ours.detach()  # their numbers are closed, or another descriptor's
            theirs.detach()
            return births.Births(control.KEPT, self._cage)
        theirs.close()
        return None

    def _bear(self, token: int, order: list[Any], descriptors: list[int]) -> None:
        """Have a copy made, and tell of it."""
        try:
            self._look_at_template()
            self.announce(token, self._copy(order, descriptors))
        except (examine.Refused, OSError) as error:
            number = error.errno if isinstance(error, OSError) else None
            self.send(wire.FORKED, token, (-(number or errno.EPERM), False, str(error)))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        examine.end_strays(self._children)

    def _look_at_template(self) -> None:
        """Before its first copy: what its import has left behind."""
        if self._socket is None or self._template not in self._children:
            raise OSError(errno.ESRCH, "the template has ended")  # which another one can replace
        if not self._is_quiet:
            self._expect(self._socket, b"i", "has not imported the function")
            examine.is_quiet(self._template, control.KEPT)
            self._is_quiet = True

    def _copy(self, order: list[Any], descriptors: list[int]) -> int:
        """A copy that has been furnished and examined; its number."""
        uid, group, disk, processes = order[:4]
        assert self._socket is not None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                ours.setsockopt(socket.SOL_SOCKET, _PASS_CREDENTIALS, 1)
                rights = array.array("i", [theirs.fileno(), *descriptors])
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
                self._socket.sendmsg([b"%d" % processes], ancillary)
            furniture = examine.Furniture(disk, self._cage.covered)
            try:
                pid = self._first_word(ours)
                examine.admit(pid)
                try:
                    self._fit(ours, pid, furniture, uid, group)
                except BaseException:
                    os.kill(pid, signal.SIGKILL)
                    raise
            finally:
                furniture.close()
        return pid

    def _fit(self, ours: socket.socket, pid: int, furniture: examine.Furniture, uid: int, group: str) -> None:
        """Furnish a copy, and let it go when it has given up what it must."""
        inside = self._cage.inside
        examine.map_user(pid, inside, uid or inside)
        if self._cage.mode == "user":  # as root it has a user of its own
            examine.limit_user(pid)
        furniture.deliver(pid, self._own)
        ours.send(b"g")
        self._expect(ours, b"d", "has not given up its rights")
        examine.examine(pid, uid or inside, group)
        ours.send(b"k")

    def _first_word(self, ours: socket.socket) -> int:
        """Who says to be the copy: the kernel tells its number. The template may say that there is none."""
        assert self._socket is not None
        poll = select.poll()
        poll.register(ours, select.POLLIN)
        poll.register(self._socket, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(_DEADLINE)}
        if ours.fileno() not in ready:
            _refuse(self._socket.recv(16) if ready else b"")
        pid = _sender(ours)
        if pid > 1 and pid not in self._children:
            return pid
        raise examine.Refused("the template answers in the place of its copy")

    @staticmethod
    def _expect(ours: socket.socket, word: bytes, what: str) -> None:
        poll = select.poll()
        poll.register(ours, select.POLLIN)
        if not poll.poll(_DEADLINE) or ours.recv(16) != word:
            raise examine.Refused("it " + what)


def _refuse(word: bytes) -> NoReturn:
    """Raise why a template has no copy, by what it has said; b"" for nothing."""
    if word[:1] == b"e" and word[1:].isdigit():
        raise OSError(int(word[1:]), os.strerror(int(word[1:])))
    raise examine.Refused("the template does not answer")


def _sender(ours: socket.socket) -> int:
    """Who says hello, as the kernel tells; 0 if it is no hello."""
    word, ancillary, _, _ = ours.recvmsg(16, socket.CMSG_SPACE(_CREDENTIALS.size))
    numbers = [
        _CREDENTIALS.unpack(data)[0]
        for level, kind, data in ancillary
        if level == socket.SOL_SOCKET and kind == _CREDENTIALS_MESSAGE and word == b"h"
    ]
    return numbers[0] if numbers else 0
