"""The credit of one body: how much of it may be on its way. Standard library only, Python 3.9 syntax, imports no pyfc:
the server and the runtimes that are written in Python load this very file.

Both ends keep a Window for each body and count the same in it. The end that sends uses what a Data frame holds, and
gets back what a Credit frame tells; the end that reads uses what a Data frame brings, and gives back, with Credit, what
its consumer has taken. So neither can wait for the other: what is used up lies at the reader, who gives it back as it
is consumed, or is on its way there.
"""

from __future__ import annotations

SIZE = 256 * 1024
"""Bytes of one body that may be on their way, and the most that one Data frame may hold."""


class Window:
    """What one end knows of one body."""

    def __init__(self) -> None:
        self.free = SIZE
        """Bytes that may be sent now."""

    @property
    def used(self) -> int:
        """Bytes that were sent and not credited."""
        return SIZE - self.free

    def use(self, size: int) -> None:
        """`size` bytes were sent, or have come. Raises ValueError if there was no credit for them."""
        if not 0 < size <= self.free:
            raise ValueError(f"{size} bytes of a body where {self.free} had credit")
        self.free -= size

    def give(self, size: int) -> None:
        """Credit for `size` bytes has come, or is given. Raises ValueError if they were never sent."""
        if not 0 < size <= self.used:
            raise ValueError(f"credit for {size} bytes where {self.used} were on their way")
        self.free += size
