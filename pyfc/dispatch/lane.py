"""A lane, which is the events of one function or destination, and its states, in two total tables.

Rule 1: whatever changes the state of a lane goes through `heard` and `turned`. Rule 2: every pair of state and event
has an answer, a new state or "cannot happen", which is our own bug and raised as one. The two do not look at each
other: what is read while a lane pauses waits in memory. How many events there are is a number, not a state.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum

from pyfc.errors import Internal
from pyfc.model.asynchronous import Event, refusal_delay
from pyfc.model.invocation import Ticket
from pyfc.model.names import Target


class Supply(Enum):
    """What the queue has of a lane, beside what is in memory."""

    NONE = "none"
    """Nothing: what comes next may be taken without asking for it."""
    MORE = "more"
    """There may be more, which is to be read when there is need of it."""
    READING = "reading"
    """It is being read."""
    STALE = "stale"
    """It is being read, and more has come since that began."""
    STARVED = "starved"
    """There may be more, and no room for it in memory."""


class News(Enum):
    """What a lane hears of the queue."""

    CAME = "came"
    """Something is in the queue that was not taken at once."""
    READ = "read"
    """It begins to be read."""
    FOUND = "found"
    """Something was read; there may be more."""
    NOTHING = "nothing"
    """Nothing was there."""
    NO_ROOM = "no room"
    """It was to be read, and cannot be now."""
    ROOM = "room"
    """There is room in memory again."""


class Gate(Enum):
    """Whether calls of a lane are made."""

    OPEN = "open"
    PAUSED = "paused"
    """There was no room for a call: again a little later."""
    DISABLED = "disabled"
    """The function may not be called: again when something else is served, or a little later."""
    CLOSED = "closed"
    """The server stops."""


class Turn(Enum):
    """What opens and closes a lane."""

    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    RESUMED = "resumed"
    CLOSED = "closed"


SUPPLY: dict[Supply, dict[News, Supply | None]] = {
    Supply.NONE: {
        News.CAME: Supply.MORE,
        News.READ: None,
        News.FOUND: None,
        News.NOTHING: None,
        News.NO_ROOM: None,
        News.ROOM: Supply.NONE,
    },
    Supply.MORE: {
        News.CAME: Supply.MORE,
        News.READ: Supply.READING,
        News.FOUND: None,
        News.NOTHING: None,
        News.NO_ROOM: Supply.STARVED,
        News.ROOM: Supply.MORE,
    },
    Supply.READING: {
        News.CAME: Supply.STALE,
        News.READ: None,
        News.FOUND: Supply.MORE,
        News.NOTHING: Supply.NONE,
        News.NO_ROOM: None,
        News.ROOM: Supply.READING,
    },
    Supply.STALE: {
        News.CAME: Supply.STALE,
        News.READ: None,
        News.FOUND: Supply.MORE,
        News.NOTHING: Supply.MORE,
        News.NO_ROOM: None,
        News.ROOM: Supply.STALE,
    },
    Supply.STARVED: {
        News.CAME: Supply.STARVED,
        News.READ: Supply.READING,
        News.FOUND: None,
        News.NOTHING: None,
        News.NO_ROOM: Supply.STARVED,
        News.ROOM: Supply.MORE,
    },
}
"""Every pair; None means that it cannot happen."""
GATE: dict[Gate, dict[Turn, Gate]] = {
    Gate.OPEN: {
        Turn.REFUSED: Gate.PAUSED,
        Turn.FORBIDDEN: Gate.DISABLED,
        Turn.RESUMED: Gate.OPEN,
        Turn.CLOSED: Gate.CLOSED,
    },
    Gate.PAUSED: {
        Turn.REFUSED: Gate.PAUSED,
        Turn.FORBIDDEN: Gate.DISABLED,
        Turn.RESUMED: Gate.OPEN,
        Turn.CLOSED: Gate.CLOSED,
    },
    Gate.DISABLED: {
        Turn.REFUSED: Gate.DISABLED,
        Turn.FORBIDDEN: Gate.DISABLED,
        Turn.RESUMED: Gate.OPEN,
        Turn.CLOSED: Gate.CLOSED,
    },
    Gate.CLOSED: {
        Turn.REFUSED: Gate.CLOSED,
        Turn.FORBIDDEN: Gate.CLOSED,
        Turn.RESUMED: Gate.CLOSED,
        Turn.CLOSED: Gate.CLOSED,
    },
}
"""Every pair: all of them can happen."""


class Lane:
    """The events of one function or destination that are in memory: those that are ready, that run, and that rest."""

    def __init__(self, name: Target, gate: Gate = Gate.OPEN) -> None:
        self.name = name
        self.supply = Supply.MORE
        self.gate = gate
        self.ready: deque[Event] = deque()
        self.running: dict[int, Event] = {}
        """By number, until what has become of them is durable."""
        self.tickets: dict[int, Ticket] = {}
        """Of those that wait for an instance, or have one."""
        self.resting: dict[int, tuple[Event, asyncio.TimerHandle]] = {}
        """Those by which pyfc has failed, until they are tried again."""
        self._refusals = 0
        """In a row."""
        self._timer: asyncio.TimerHandle | None = None
        """Ends the pause."""

    def heard(self, news: News) -> None:
        """The queue has something of it, or has not. Raises Internal for what cannot happen."""
        following = SUPPLY[self.supply][news]
        if following is None:
            raise Internal(detail=f"a lane whose supply is '{self.supply.value}' was told '{news.value}'")
        self.supply = following

    def turned(self, turn: Turn) -> None:
        """Calls of it are made from now on, or are not."""
        self.gate = GATE[self.gate][turn]

    def refused(self, event: Event, turn: Turn, resume: Callable[[Lane], None]) -> None:
        """An event could not run: it is the first again, and `resume` is called after a pause, which grows from one to
        the next.
        """
        self.ready.appendleft(event)
        self.turned(turn)
        if self._timer is None and self.gate is not Gate.CLOSED:
            self._refusals += 1
            self._timer = asyncio.get_running_loop().call_later(refusal_delay(self._refusals), resume, self)

    def resumed(self) -> None:
        """Its pause is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self.turned(Turn.RESUMED)

    def worked(self) -> None:
        """An event has run: the next pause is short again."""
        self._refusals = 0

    def rest(self, event: Event, delay: float, rested: Callable[[Lane, Event], None]) -> None:
        """Keep an event out of the way of the others for so many seconds; `rested` is called when they are over."""
        if self.gate is not Gate.CLOSED:
            timer = asyncio.get_running_loop().call_later(delay, rested, self, event)
            self.resting[event.number] = (event, timer)

    def closed(self) -> None:
        """Nothing of it begins any more."""
        self.turned(Turn.CLOSED)
        for timer in (self._timer, *(timer for _, timer in self.resting.values())):
            if timer is not None:
                timer.cancel()
        self._timer = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it is in memory."""
        return not (self.ready or self.running or self.resting)

    def held(self, number: int) -> Event | None:
        """An event, wherever it is in here."""
        if number in self.resting:
            return self.resting[number][0]
        return self.running.get(number) or next((each for each in self.ready if each.number == number), None)

    def ended(self, event: Event) -> None:
        """It runs no more."""
        self.running.pop(event.number, None)
        self.tickets.pop(event.number, None)

    def withdraw(self, number: int) -> None:
        """Of an event that does not run: it is not to be tried by itself any more."""
        if number in self.resting:
            self.resting.pop(number)[1].cancel()
        self.ready = deque(each for each in self.ready if each.number != number)
