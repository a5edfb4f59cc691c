"""The tickets of submitted calls: of those that wait for an instance, and of those that run."""

from __future__ import annotations

from pyfc.model.invocation import Invocation, Reply


class Waiter:
    """A call that waits for an instance, and its ticket."""

    __slots__ = ("call", "expires", "gone", "reply", "served")

    def __init__(self, call: Invocation, reply: Reply, expires: float) -> None:
        self.call = call
        self.reply = reply
        self.expires = expires
        self.gone = False
        self.served = False

    def cancel(self) -> bool:
        """See Ticket."""
        self.gone = not self.served
        return self.gone


class Served:
    """The ticket of a call that runs already."""

    def cancel(self) -> bool:
        """See Ticket."""
        return False


SERVED = Served()
