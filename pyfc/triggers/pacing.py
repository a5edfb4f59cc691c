"""How many calls of a stream are under way at once (`maximumTasks` of EventBridge), and whether it has stopped at one
that was given up (`errorsTolerance: NONE`).

Nothing is kept of that beside the calls themselves: they are asked for when a stream is first looked after, and what
becomes of them is heard from then on. So a stream that has stopped goes on when the call that it stopped at is retried
and succeeds, or is dropped, also after a restart of the server.
"""

from __future__ import annotations

from pyfc.model.asynchronous import Status
from pyfc.triggers.interface import Holding, Key

_DONE = {None, Status.SUCCEEDED, Status.STOPPED}
"""What leaves nothing to wait for; None: the record was dropped."""


class Pace:
    """Of the streams of one server that have one."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._calls: dict[Key, dict[str, Status]] = {}
        """Those that have not ended, or were given up, by their request ids."""
        self._meanwhile: dict[Key, dict[str, Status | None]] = {}
        """What was heard of calls while they are asked for."""

    async def know(self, key: Key) -> None:
        """Know the calls of a stream from now on. Raises PyfcError."""
        if key in self._calls:
            return
        self._meanwhile.setdefault(key, {})
        found = dict(await self._holding.calls(key))
        self._calls[key] = found
        for number, status in self._meanwhile.pop(key).items():
            self.heard(key, number, status)

    def keep(self, keys: set[Key]) -> None:
        """Only these have a pace any more."""
        for known in (self._calls, self._meanwhile):
            for key in known.keys() - keys:
                del known[key]

    def heard(self, key: Key, number: str, status: Status | None) -> None:
        """Something has become of a call; None: its record was dropped."""
        if key in self._meanwhile:
            self._meanwhile[key][number] = status
        elif (calls := self._calls.get(key)) is not None:
            if status is None or status in _DONE:
                calls.pop(number, None)
            else:
                calls[number] = status

    def under_way(self, key: Key) -> int:
        """How many calls have not ended."""
        return sum(not status.is_final for status in self._calls.get(key, {}).values())

    def given_up(self, key: Key) -> str:
        """The first call that was given up, '' if none was."""
        return next((number for number, status in self._calls.get(key, {}).items() if status.is_final), "")
