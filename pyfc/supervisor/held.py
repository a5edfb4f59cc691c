"""The route of a function whose packages are being installed: its calls wait, as they do for a cold start, until they
are handed on to what serves them then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pyfc.errors import FunctionNotStarted, PyfcError, ResourceExhausted, Unavailable
from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Reply, Route, Ticket

_LINE = 300
"""Characters of an installer's line in a message."""


class _Waiting:
    """A call, and its ticket."""

    __slots__ = ("call", "is_over", "onward", "reply", "timer")

    def __init__(self, call: Invocation, reply: Reply) -> None:
        self.call = call
        self.reply = reply
        self.onward: Ticket | None = None
        """The one of where it was handed on to."""
        self.timer: asyncio.TimerHandle | None = None
        self.is_over = False

    def cancel(self) -> bool:
        """See Ticket."""
        if self.onward is not None:
            return self.onward.cancel()
        self.end()
        return True

    def end(self) -> None:
        """It waits here no more."""
        self.is_over = True
        if self.timer is not None:
            self.timer.cancel()


class Held:
    """See module. `patience`: seconds that a call waits at most; `most`: calls that may wait. `hurry` is called for
    each call: somebody waits for the packages now; `said` gives the last line of the installer.
    """

    def __init__(
        self, function: Function, patience: float, most: int, hurry: Callable[[], None], said: Callable[[], str]
    ) -> None:
        self.function = function
        self.said = said
        self._patience = patience
        self._most = most
        self._hurry = hurry
        self._began = time.monotonic()
        self._calls: list[_Waiting] = []

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        """See Route. Raises ResourceExhausted."""
        self._calls = [each for each in self._calls if not each.is_over]
        if len(self._calls) >= self._most:
            reason = f"{self._most} calls wait for its packages already"
            raise ResourceExhausted(function=self.function.name, service=self.function.service, reason=reason)
        waiting = _Waiting(call, reply)
        waiting.timer = asyncio.get_running_loop().call_later(self._patience, self._give_up, waiting)
        self._calls.append(waiting)
        self._hurry()
        return waiting

    def release(self, route: Route) -> None:
        """Hand all calls on to `route`, in the order in which they came."""
        calls, self._calls = self._calls, []
        for waiting in calls:
            if waiting.is_over:
                continue
            waiting.end()
            try:
                waiting.onward = route.submit(waiting.call, waiting.reply)
            except PyfcError as error:
                waiting.reply.refuse(error)

    def refuse(self, error: PyfcError | None = None) -> None:
        """Nothing will serve these calls; without an error: the server stops."""
        calls, self._calls = self._calls, []
        for waiting in calls:
            if not waiting.is_over:
                waiting.end()
                waiting.reply.refuse(error or Unavailable(message="the server stops"))

    def _give_up(self, waiting: _Waiting) -> None:
        waiting.end()
        seconds = time.monotonic() - self._began
        said = self.said()[:_LINE] or "it waits for its turn"
        message = f"the packages of function '{self.function.name}' are still being installed after {seconds:.0f} s"
        waiting.reply.refuse(FunctionNotStarted(message=f"{message}: {said}"))
