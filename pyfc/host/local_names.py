"""Whether this machine leads names that end in .localhost to itself, as RFC 6761 wants. systemd's resolver does, and
browsers and curl do by themselves; the C library alone does not.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from pyfc.model.hosts import LOCAL, is_loopback


class LocalNames:
    """Asked once, beside everything else: a name server that is far away may take its time."""

    def __init__(self) -> None:
        self.are_known = False
        """Whether it does; False until that is known."""
        self._thread = threading.Thread(target=self._ask, daemon=True)
        with contextlib.suppress(RuntimeError):  # there is no thread left
            self._thread.start()

    @property
    def is_asking(self) -> bool:
        """Whether the answer is still to come."""
        return self._thread.is_alive()

    def _ask(self) -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found = socket.getaddrinfo(f"pyfc{LOCAL}", None, type=socket.SOCK_STREAM)
            self.are_known = all(is_loopback(str(each[4][0])) for each in found)
