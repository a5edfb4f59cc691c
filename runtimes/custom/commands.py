"""Lifecycle hooks that are commands (of FC's `instanceLifecycleConfig`): a process that waits beside the program of the
user, and starts what it is told to.

It leaves the program's process before that becomes the program, so that a command has what the program has: its files,
its limits, its ports. It is nobody's child that the program knows of.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from typing import NoReturn

import kernel

_SIZE, _STATUS = struct.Struct("!I"), struct.Struct("!i")


def words_of(command: list[str], environment: dict[str, str], folder: str) -> bytes:
    """What `execute` is to do, as bytes."""
    texts = [folder, str(len(command)), *command, *("%s=%s" % each for each in environment.items())]
    return "\0".join(texts).encode("utf-8", "surrogateescape")


def execute(words: bytes) -> NoReturn:
    """Become the program that `words_of` has written down. Raises OSError."""
    folder, count, *texts = words.decode("utf-8", "surrogateescape").split("\0")
    command, variables = texts[: int(count)], texts[int(count) :]
    environment = dict(each.split("=", 1) for each in variables)
    os.chdir(folder)
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.environ["PATH"] = environment.get("PATH", os.defpath)  # by which the program is looked for
    os.execvpe(command[0], command, environment)  # noqa: S606  that is what it is for


def leave_behind(door: socket.socket, foreign: list[int]) -> None:
    """In the process that is to be the program: fork who waits at `door` for commands, until its other end is closed.
    `foreign`: descriptors that are none of its business.
    """
    first = os.fork()
    if first == 0:
        if os.fork() == 0:
            for descriptor in foreign:
                os.close(descriptor)
            _wait(door)
        os._exit(0)
    os.waitpid(first, 0)


async def run(door: socket.socket, words: bytes) -> int:
    """Have a command run to its end: its exit status, negative for the signal that has ended it. Raises OSError."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(door, _SIZE.pack(len(words)) + words)
    data = b""
    while len(data) < _STATUS.size:
        piece = await loop.sock_recv(door, _STATUS.size - len(data))
        if not piece:
            raise ConnectionResetError("what was to run it has ended")
        data += piece
    (status,) = _STATUS.unpack(data)
    return int(status)


def _wait(door: socket.socket) -> NoReturn:
    if kernel.LINUX:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    try:
        while size := _read(door, _SIZE.size):
            words = _read(door, _SIZE.unpack(size)[0])
            door.sendall(_STATUS.pack(_status_of(door, words)))
    except OSError:
        pass
    os._exit(0)


def _status_of(door: socket.socket, words: bytes) -> int:
    pid = os.fork()
    if pid == 0:
        door.close()
        try:
            execute(words)
        except OSError as error:
            os.write(2, ("the command can not be started: %s\n" % error).encode())
        os._exit(127)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(door: socket.socket, size: int) -> bytes:
    """So many bytes; none at the end."""
    data = b""
    while len(data) < size:
        piece = door.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data
