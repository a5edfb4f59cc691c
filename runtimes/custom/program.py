"""Starts the user's program beside the bridge, in the same sandbox but for the network, and knows when it ends. Whether
it listens, and what its end means to calls, is bridge.py's."""

from __future__ import annotations

import array
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

import commands
import enter
import kernel
import loopback


class Program:
    """The user's program. `listener`: where its calls for sockets are told, -1 if they are not; `hooks`: who runs
    commands beside it, None for nobody.
    """

    def __init__(self, pid: int, door: socket.socket, listener: int, hooks: socket.socket | None, *, own: bool) -> None:
        self.pid = pid
        self.listener = listener
        self.hooks = hooks
        self.own = own
        """Whether the bridge has a loopback of its own."""
        self._door = door

    def run(self, command: list[str], environment: dict[str, str], folder: str) -> None:
        """Let it go."""
        with self._door:
            self._door.sendall(commands.words_of(command, environment, folder))

    def reap(self, on_exit: Callable[[int], None]) -> None:
        """Some child of this process has ended: the program itself, of whose end `on_exit` is told, or what it has
        left behind.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                on_exit(os.waitstatus_to_exitcode(status))

    def signal(self, number: signal.Signals) -> None:
        """Signal it, if it is still there."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


def prepare(cage: enter.Cage, wish: dict[str, Any], *, has_commands: bool) -> Program:
    """Fork the process that is to be the program, and settle: both have given everything up when this returns.
    `has_commands`: whether hooks of it are commands.
    """
    cage.prepare(wish)
    ours, theirs = socket.socketpair()
    hooks, waits = socket.socketpair() if has_commands else (None, None)
    pid = os.fork()
    if pid == 0:
        _become(cage, wish, theirs, waits)
    theirs.close()
    if hooks is not None and waits is not None:
        hooks.setblocking(False)
        waits.close()
    own = _separate(cage, wish)
    cage.give_up(wish, "bridge")
    if kernel.LINUX:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # the program has the same user
    return Program(pid, ours, _receive(ours), hooks, own=own or bool(wish and cage.has_namespaces))


def _separate(cage: enter.Cage, wish: dict[str, Any]) -> bool:
    """Give this process a loopback of its own, where that can be."""
    if not (cage.has_namespaces and wish["network"] and loopback.can_notify()):
        return False
    kernel.unshare(kernel.NEWNET)
    kernel.raise_loopback()
    return True


def _become(cage: enter.Cage, wish: dict[str, Any], door: socket.socket, hooks: socket.socket | None) -> NoReturn:
    """In the child: settle, wait for the word, and be the program."""
    try:
        kept = {door.fileno(), hooks.fileno() if hooks is not None else -1}
        for number in set(range(3, 64)) - kept:
            os.closerange(number, number + 1)
        rights = _watched(wish)
        cage.give_up(wish)
        if hooks is not None:
            commands.leave_behind(hooks, [door.fileno(), *rights])
            hooks.close()
        door.sendmsg([b"w"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", rights))] if rights else [])
        for descriptor in rights:
            os.close(descriptor)
        _execute(door)
    except OSError as error:
        os.write(2, ("the program can not be started: %s\n" % error).encode())
    os._exit(127)


def _watched(wish: dict[str, Any]) -> list[int]:
    """The descriptor by which calls for sockets are told; none where that is not needed or not possible."""
    if not loopback.can_notify() or not wish.get("network", True):
        return []
    try:
        return [loopback.watch()]
    except OSError:
        return []


def _execute(door: socket.socket) -> NoReturn:
    data = b""
    while piece := door.recv(65536):
        data += piece
    door.close()
    commands.execute(data)


def _receive(door: socket.socket) -> int:
    """What the child sends when it has settled; -1 if its calls are not told."""
    descriptors = array.array("i")
    word, ancillary, _, _ = door.recvmsg(1, socket.CMSG_SPACE(descriptors.itemsize))
    if not word:
        os._exit(1)  # it has said why in its output
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    return descriptors[0] if descriptors else -1
