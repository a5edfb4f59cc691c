"""The addresses that the server listens on.

Clients resolve `localhost` to ::1 before 127.0.0.1. Whoever listened on the other one of the two with the server's port
would be taken for the server, and a function could do that, so the server takes both.
"""

from __future__ import annotations

import errno
import socket

from pyfc.errors import AddressInUse, InvalidArgument
from pyfc.model.hosts import is_loopback

_BACKLOG = 2048
_ATTEMPTS = 32
_IPV4, _IPV6 = "127.0.0.1", "::1"
_EVERY = "0.0.0.0"  # noqa: S104 it is compared with, not bound
_MISSING = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}


def listening(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on `host`, and on the other loopback address if it is one or includes one; the first is
    `host`'s. `port` 0 takes one that is free on all. Raises AddressInUse, InvalidArgument.
    """
    for _ in range(_ATTEMPTS if port == 0 else 0):
        try:
            return _listening(host, 0)
        except AddressInUse:
            continue  # the port that the kernel chose for one is another program's on the other
    return _listening(host, port)


def _listening(host: str, port: int) -> list[socket.socket]:
    sockets = [_bound(host, port)]
    family, (address, taken, *_) = sockets[0].family, sockets[0].getsockname()
    try:
        if address == _EVERY or is_loopback(address):
            other = _IPV4 if family == socket.AF_INET6 else _IPV6
            if _exists(other):
                sockets.append(_bound(other, taken))
        for each in sockets:
            each.listen(_BACKLOG)
    except OSError as error:
        _close(sockets)
        raise AddressInUse(host=host, port=taken) from error
    except (AddressInUse, InvalidArgument):
        _close(sockets)
        raise
    return sockets


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidArgument(message=f"--host {host} is no address of this machine: {error}") from error
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address[0] == "::":
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # every address, those of IPv4 as well
    try:
        server.bind(address)
    except OSError as error:
        server.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(host=f"[{host}]" if ":" in host else host, port=port) from error
        raise InvalidArgument(message=f"{host}:{port} can not be used: {error.strerror}") from error
    return server


def _exists(address: str) -> bool:
    """Whether this machine has a loopback address."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        return False
    return True


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()
