"""A loopback of its own for each instance, so that every instance can listen on the same port, while the user's program
reaches the network as any program does.

The bridge lives in a network namespace that has nothing but a loopback. The user's program lives outside of it, where
the network is; but each of its `bind` and `connect` calls is told to the bridge first (seccomp's user notification).
One that means a port of the instance on the loopback gets its socket exchanged for one of the bridge's namespace; every
other call goes its way. Where there can be no such namespace the port is another one, which the bridge knows.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
from collections import deque
from typing import Any

import kernel

_CALLS = {"x86_64": (0xC000003E, 49, 42, 317, 310), "aarch64": (0xC00000B7, 200, 203, 277, 270)}
"""Audit architecture; numbers of bind, connect, seccomp and process_vm_readv."""
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
_NEW_LISTENER = 8
_RECEIVE, _SEND, _VALID, _ADD = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_CONTINUE, _SET_NUMBER = 1, 1
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADDITION = struct.Struct("=QIIII")
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_MOST_ADDRESS = 128
_MOST_CALLERS = 1000
_MOST_OTHERS = 5
_V6_ONLY = 26
_KEPT_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, getattr(socket, "SO_REUSEPORT", 15)),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
)
_DOMAIN = getattr(socket, "SO_DOMAIN", 39)


def can_notify() -> bool:
    """Whether calls can be told here: Linux on a processor that this file knows."""
    return kernel.LINUX and platform.machine() in _CALLS


def watch() -> int:
    """In the process that is to become the user's program: have its calls told from here on; the descriptor for who is
    to hear them. Raises OSError.
    """
    audit, bind, connect, seccomp, _ = _CALLS[platform.machine()]
    instructions = [
        (0x20, 0, 0, 4),  # the architecture
        (0x15, 0, 3, audit),
        (0x20, 0, 0, 0),  # the number
        (0x15, 2, 0, bind),
        (0x15, 1, 0, connect),
        (0x06, 0, 0, _ALLOW),
        (0x06, 0, 0, _NOTIFY),
    ]
    program = b"".join(struct.pack("=HBBI", *each) for each in instructions)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(instructions), ctypes.addressof(code))
    return kernel.syscall("seccomp", seccomp, 1, _NEW_LISTENER, header)


class Loopback:
    """Answers the notifications of `listener`. `ports`: those of the instance. `own`: whether this process has a
    network namespace of its own; else the ports are free ones of the host's loopback, by `places`.
    """

    def __init__(self, listener: int, ports: tuple[int, ...], *, own: bool) -> None:
        self.listener = listener
        self.places = {port: port if own else 0 for port in ports}
        """Where a port of the instance really is; 0 while nobody has asked for it."""
        self.others: set[int] = set()
        """Ports that the program has bound beside those, some of them."""
        self._own = own
        self._callers: deque[int] = deque(maxlen=_MOST_CALLERS)
        _, self._bind, self._connect, *_ = _CALLS[platform.machine()]

    def take_in(self, port: int) -> None:
        """A port of this process is the instance's, too: connections to it are made here, and so their origin known."""
        if not self._own:
            self.places[port] = port

    def is_own(self, port: int) -> bool:
        """Whether a connection from this port is of the instance's own processes: where the loopback is everyone's, no
        other process can have the port while this connection stands.
        """
        return self._own or port in self._callers

    def answer(self) -> None:
        """One notification is waiting."""
        data = array.array("B", bytes(_NOTIFICATION.size))
        try:
            fcntl.ioctl(self.listener, _RECEIVE, data)
        except OSError:
            return  # whoever called has died meanwhile
        number, pid, _, call, _, _, descriptor, address, size, *_ = _NOTIFICATION.unpack(data)
        try:
            result = self._judge(number, pid, call, descriptor, address, size)
        except OSError as error:
            result = -(error.errno or errno.EIO)
        value = (0, 0, _CONTINUE) if result is None else (0, min(result, 0), 0)
        with contextlib.suppress(OSError):  # the same
            fcntl.ioctl(self.listener, _SEND, array.array("B", _RESPONSE.pack(number, *value)))

    def _judge(self, number: int, pid: int, call: int, descriptor: int, address: int, size: int) -> int | None:
        """None: the call goes its way; else its result. Raises OSError: its result too."""
        place = _address(pid, address, size)
        if place is None or not self._is_meant(call, place):
            return None
        family, port, _ = place
        theirs = _descriptor_of(pid, descriptor)
        if theirs is None:
            return None
        with theirs:
            if theirs.type & 0xF != socket.SOCK_STREAM:
                return None
            if not self._own:
                return self._elsewhere(theirs, family, call, port)
            with self._like(theirs, family) as ours:
                host = "127.0.0.1" if family == socket.AF_INET else "::1"
                if call == self._bind:
                    ours.bind(("127.0.0.1" if family == socket.AF_INET else "::", port))
                else:
                    _connect_either(ours, family, host, port)
                self._exchange(number, pid, descriptor, theirs, ours)
        return 0

    def _is_meant(self, call: int, place: tuple[int, int, bool]) -> bool:
        """Whether a port of the instance is; of others it is kept that the program has bound them."""
        _, port, is_local = place
        if port in self.places:
            return is_local
        if call == self._bind and port and len(self.others) < _MOST_OTHERS:
            self.others.add(port)
        return False

    def _elsewhere(self, theirs: socket.socket, family: int, call: int, port: int) -> int:
        """Without a namespace: the same socket, and a port that is free."""
        mapped = family == socket.AF_INET6 and not theirs.getsockopt(socket.IPPROTO_IPV6, _V6_ONLY)
        host = "127.0.0.1" if family == socket.AF_INET else "::ffff:127.0.0.1" if mapped else "::1"
        if call == self._connect:
            if not theirs.getsockname()[1]:
                theirs.bind((host, 0))  # known before anybody can hear of the connection
            self._callers.append(theirs.getsockname()[1])
            theirs.connect((host, self.places[port] or port))
            return 0
        theirs.bind((host, self.places[port]))
        self.places[port] = theirs.getsockname()[1]
        return 0

    @staticmethod
    def _like(theirs: socket.socket, family: int) -> socket.socket:
        """A socket of this process's namespace with the other's options."""
        ours = socket.socket(family, socket.SOCK_STREAM)
        options = list(_KEPT_OPTIONS)
        if family == socket.AF_INET6:
            options.append((socket.IPPROTO_IPV6, _V6_ONLY))
        for level, name in options:
            with contextlib.suppress(OSError):
                ours.setsockopt(level, name, theirs.getsockopt(level, name))
        return ours

    def _exchange(self, number: int, pid: int, descriptor: int, theirs: socket.socket, ours: socket.socket) -> None:
        """Put our socket in the place of theirs, in their process."""
        flags = fcntl.fcntl(theirs, fcntl.F_GETFL)
        fcntl.fcntl(ours, fcntl.F_SETFL, flags)
        keeps = os.O_CLOEXEC if _closes_on_exec(pid, descriptor) else 0
        addition = _ADDITION.pack(number, _SET_NUMBER, ours.fileno(), descriptor, keeps)
        fcntl.ioctl(self.listener, _ADD, array.array("B", addition))


def _connect_either(ours: socket.socket, family: int, host: str, port: int) -> None:
    """To a server on this loopback, however it listens."""
    if family == socket.AF_INET6:
        try:
            ours.connect((host, port))
        except ConnectionRefusedError:
            ours.connect(("::ffff:127.0.0.1", port))
    else:
        ours.connect((host, port))


def _address(pid: int, address: int, size: int) -> tuple[int, int, bool] | None:
    """Family, port, and whether it is this machine's loopback or any address; None for what is no internet address."""
    data = _memory(pid, address, min(size, _MOST_ADDRESS))
    if len(data) < 8:
        return None
    family = struct.unpack_from("=H", data)[0]
    port = struct.unpack_from("!H", data, 2)[0]
    if family == socket.AF_INET:
        host = data[4:8]
        return family, port, host[0] in (0, 127)
    if family == socket.AF_INET6 and len(data) >= 24:
        host = data[8:24]
        mapped = host[:12] == b"\0" * 10 + b"\xff\xff" and host[12] in (0, 127)
        return family, port, mapped or (host[:15] == b"\0" * 15 and host[15] in (0, 1))
    return None


def _memory(pid: int, address: int, size: int) -> bytes:
    buffer = ctypes.create_string_buffer(size)
    here = struct.pack("@PN", ctypes.addressof(buffer), size)
    there = struct.pack("@PN", address, size)
    number = _CALLS[platform.machine()][4]
    read = kernel.syscall("process_vm_readv", number, pid, here, 1, there, 1, 0)
    return buffer.raw[:read]


def _descriptor_of(pid: int, descriptor: int) -> Any:
    """The other process's socket, once more; None if it is no socket of the internet."""
    leader = int(_field("/proc/%d/status" % pid, "Tgid:") or pid)
    pidfd = kernel.syscall("pidfd_open", _PIDFD_OPEN, leader, 0)
    try:
        copy = kernel.syscall("pidfd_getfd", _PIDFD_GETFD, pidfd, descriptor, 0)
    finally:
        os.close(pidfd)
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None
    if found.family not in (socket.AF_INET, socket.AF_INET6):
        found.close()
        return None
    return found


def _closes_on_exec(pid: int, descriptor: int) -> bool:
    flags = _field("/proc/%d/fdinfo/%d" % (pid, descriptor), "flags:")
    return not flags or bool(int(flags, 8) & os.O_CLOEXEC)


def _field(path: str, name: str) -> str:
    """'' where this process may not look: only where nothing is in the way of the usual case."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().partition(name)[2].split()[0]
    except (OSError, IndexError):
        return ""
