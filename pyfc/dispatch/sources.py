"""What fires triggers: the sources of all types, kept running, and the one way from them into the queue.

1. A source tells that a trigger fires; the call is promised, and what the source remembers of it is written, in one
   step. So nothing that happened is lost with the server, and what was told twice is called once while its record is
   there.
2. A source that fails is run again after a while, and says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from pyfc.calls.table import Table
from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.persistence import until_done
from pyfc.errors import AlreadyExists
from pyfc.model.asynchronous import DEEPEST, Event
from pyfc.model.names import LATEST, Target
from pyfc.model.policy import back_off
from pyfc.model.trigger import Trigger
from pyfc.tasks import Tasks
from pyfc.triggers.interface import Emit, Firing, Key, Source, State

_SPACE = uuid.UUID("5f1d7b1e-7f0c-4f5e-9a51-3c1f7e1f7a10")
"""Ids of calls are made in it of what happened."""
_CALLED = {"http", "https"}
"""Types that clients call; of any other without a source nothing fires a trigger here."""
_MARK = "trigger/"
_STEADY = 60.0
"""Seconds after which a source that fails has run well before."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Past:
    """What a trigger has done since the server's start."""

    last: float = 0.0
    """When it has fired, seconds since the epoch; 0 if it has not."""
    count: int = 0


class Described(NamedTuple):
    """A trigger, for people."""

    trigger: Trigger
    state: State | None
    """None for a type that has no source here."""
    past: Past

    @property
    def key(self) -> Key:
        """Its names."""
        return Key.of(self.trigger)

    @property
    def word(self) -> str:
        """How it is, in a word."""
        if self.state is None:
            return "open" if self.trigger.type in _CALLED else "kept"
        if self.state.error:
            return "failing"
        return "ready" if self.state.is_enabled else "disabled"


class Sources:
    """The sources of one server."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._queue = dispatcher.queue
        self._dispatcher = dispatcher
        self._sources: dict[str, Source] = {}
        self._triggers: dict[Key, Trigger] = {}
        self._past: dict[Key, Past] = {}
        self._running = False
        self._tasks = Tasks()

    def add(self, source: Callable[[Emit], Source]) -> None:
        """Have one more; `source` makes it."""
        made = source(self.emit)
        self._sources[made.type] = made

    async def start(self, table: Table) -> None:
        """Fire from now on, what `table` has to begin with."""
        kept = await self._queue.marks(_MARK)
        self._running = True
        self._take(table, {_key_of(name): value for name, value in kept.items()})
        for source in self._sources.values():
            self._tasks.begin(f"firing triggers of type {source.type}", self._keep(source))

    def use(self, table: Table) -> None:
        """Something else is served."""
        if self._running:
            self._take(table, {})

    def _take(self, table: Table, marks: Mapping[Key, str]) -> None:
        """`marks`: of the triggers that were there before the server was; one that comes later is new."""
        found = {Key.of(each): each for entry in table.entries.values() for each in entry.triggers}
        if found == self._triggers:
            return
        self._forget_all(self._triggers.keys() - found.keys())
        self._triggers = found
        for kind, source in self._sources.items():
            source.use({key: each for key, each in found.items() if each.type == kind}, marks)

    def _forget_all(self, gone: AbstractSet[Key]) -> None:
        for key in gone:
            self._past.pop(key, None)
        if gone:
            self._tasks.begin("forgetting what triggers were", self._forget({_name(key): "" for key in gone}))

    async def _forget(self, marks: Mapping[str, str]) -> None:
        await until_done("what triggers were can not be forgotten", partial(self._queue.put, [], marks))

    async def _keep(self, source: Source) -> None:
        failures = 0
        while True:
            begun = time.monotonic()
            try:
                await source.run()
            except Exception:
                failures = failures + 1 if time.monotonic() - begun < _STEADY else 1
                _log.exception("triggers of type %s do not fire; they will again after a while", source.type)
            await asyncio.sleep(back_off(max(1, failures)))

    async def emit(self, firing: Firing) -> None:
        """Promise the call of a trigger that fires. Raises PyfcError."""
        trigger, key = firing.trigger, Key.of(firing.trigger)
        marks = {_name(key): firing.mark}
        if firing.depth > DEEPEST:
            await self._queue.put([], marks)
            _log.error("trigger %s: %s calls led to each other; the next is not made", "/".join(key), firing.depth)
            return
        name = str(uuid.uuid5(_SPACE, firing.identity))
        target = Target(trigger.service, trigger.function, trigger.qualifier or LATEST)
        event = Event(id=name, request_id=name, target=target, payload=firing.payload, depth=firing.depth)
        try:
            await self._dispatcher.submit(event, marks=marks)
        except AlreadyExists:
            await self._queue.put([], marks)  # it was told before
            return
        past = self._past.setdefault(key, Past())
        past.last, past.count = time.time(), past.count + 1
        self._dispatcher.arrived(event)

    def describe(self) -> list[Described]:
        """Every trigger there is."""
        return [
            Described(each, self._state(each.type, key), self._past.get(key, Past()))
            for key, each in self._triggers.items()
        ]

    def _state(self, kind: str, key: Key) -> State | None:
        source = self._sources.get(kind)
        return source.state(key) if source is not None else None

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        """When a trigger fires the next times."""
        source = self._sources.get(self._triggers[key].type) if key in self._triggers else None
        return source.upcoming(key, count) if source is not None else []

    async def close(self) -> None:
        """Fire no more."""
        self._running = False
        await self._tasks.close()


def _name(key: Key) -> str:
    """That of what is remembered of a trigger."""
    return f"{_MARK}{'/'.join(key)}"


def _key_of(name: str) -> Key:
    return Key(*name.removeprefix(_MARK).split("/", 2))
