"""A template: a worker that has imported its function and makes copies of itself, each of which becomes an instance.

It holds no privilege: its keeper (keeper.py) furnishes the copies from outside and believes nothing that is said here.
A copy gives its rights up, gets random numbers of its own, and goes on as a worker that has just been started.
"""

from __future__ import annotations

import array
import gc
import os
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any

import clone
import control
import enter
import forks

_MOST = 4 + control.MOST_DESCRIPTORS
_OF_NUMPY = ("Generator", "RandomState")


class Births:
    """The template's end of the socket to its keeper, `descriptor`."""

    def __init__(self, descriptor: int, cage: enter.Cage) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._cage = cage

    def wait(self, renew: Callable[[], None]) -> None:
        """Make copies until the keeper closes the socket. Returns in each copy, ready to be a worker; `renew` is
        called in it when its descriptors are in place.
        """
        _rest_threads()
        address = clone.tid_address()
        generators = _generators()
        gc.collect()
        gc.freeze()
        self._socket.send(b"i")
        while True:
            order, descriptors = self._order()
            try:
                is_copy = forks.copied(lambda: clone.bear(address)) == 0
            except OSError as error:
                self._socket.send(b"e%d" % (error.errno or 0))
                is_copy = False
            if is_copy:
                break
            for descriptor in descriptors:
                os.close(descriptor)
        self._socket.detach()
        self._become(int(order), descriptors, renew)
        _seed(generators)
        self._confirm()

    def _order(self) -> tuple[bytes, list[int]]:
        descriptors = array.array("i")
        room = socket.CMSG_SPACE(_MOST * descriptors.itemsize)
        order, ancillary, _, _ = self._socket.recvmsg(16, room)
        if not order:
            os._exit(0)
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        return order, list(descriptors)

    def _become(self, processes: int, descriptors: list[int], renew: Callable[[], None]) -> None:
        """Ask to be furnished, then give up what the new namespaces gave."""
        door, *pipes = descriptors
        control.join(pipes[control.PIPES :])
        os.write(door, b"h")
        os.setsid()
        control.take_places(pipes[: control.PIPES], door)
        renew()
        if os.read(control.KEPT, 1) != b"g":
            os._exit(0)
        self._cage.settle_copy(processes)

    @staticmethod
    def _confirm() -> None:
        os.write(control.KEPT, b"d")
        if os.read(control.KEPT, 1) != b"k":
            os._exit(0)
        os.close(control.KEPT)


def _rest_threads() -> None:
    """Libraries that keep threads for their work, as OpenBLAS does, end them before a fork and start them again when
    they are needed; they do not hear of a clone.
    """
    try:
        if len(os.listdir("/proc/self/task")) == 1:
            return
    except OSError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are threads
        child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _generators() -> list[Any]:
    """Generators of random numbers that modules of the user's have made, as far as they can be reached."""
    found: dict[int, Any] = {}
    known: Any = getattr(sys.modules.get("random"), "Random", ())
    standard = getattr(sys, "stdlib_module_names", ())
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in standard:
            continue
        for value in list(getattr(module, "__dict__", {}).values()):
            if isinstance(value, known) or type(value).__name__ in _OF_NUMPY:
                found[id(value)] = value
    return list(found.values())


def _seed(generators: list[Any]) -> None:
    """Give a copy random numbers of its own. `random` does that by itself."""
    modules: dict[str, Any] = sys.modules
    for generator in generators:
        if hasattr(generator, "bit_generator"):
            generator.bit_generator.state = type(generator.bit_generator)().state
        else:
            generator.seed()
    if "ssl" in modules:
        modules["ssl"].RAND_bytes(1)  # OpenSSL looks at the number of the process, which a later one could share
    if "uuid" in modules:
        modules["uuid"]._generate_time_safe = None  # its library has drawn a sequence, which copies would share
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None
