"""What fires triggers: the sources of all types, kept running, and the one way from them into the queue.

1. A source tells that a trigger fires; the call is promised, and what the source remembers of it is written, in one
   step. So nothing that happened is lost with the server, and what was told twice is called once while its record is
   there.
2. A source that fails is run again after a while, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from pyfc.calls.table import Table
from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.persistence import until_done
from pyfc.errors import AlreadyExists
from pyfc.model.asynchronous import HELD, Event, Status
from pyfc.model.names import LATEST, Target
from pyfc.model.policy import back_off
from pyfc.model.trigger import Trigger
from pyfc.queues.interface import Filter, Outcome
from pyfc.tasks import Tasks
from pyfc.triggers.interface import Emit, Firing, Key, Pacing, Source, State

S = TypeVar("S", bound=Source)
_SPACE = uuid.UUID("5f1d7b1e-7f0c-4f5e-9a51-3c1f7e1f7a10")
"""Ids of calls are made in it of what happened."""
_CALLED = {"http", "https", "apigateway"}
"""Types that clients call; of any other without a source nothing fires a trigger here."""
_MARK = "trigger/"
_PAST = "fired/"
"""Marks of what sources remember, and of what triggers have done."""
_STEADY = 60.0
"""Seconds after which a source that fails has run well before."""
_PAGE = 1000
"""Records that are read at once."""
_DONE = {Status.SUCCEEDED, Status.STOPPED}
_SUSPICIOUS = 4
"""Calls that have led to one, at which that is said."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Past:
    """What a trigger has done since it was made."""

    last: float = 0.0
    """When it has fired, seconds since the epoch; 0 if it has not."""
    count: int = 0

    @classmethod
    def read(cls, text: str) -> Past:
        """The one that was written; that of a new trigger if nothing that can be read was."""
        last, _, count = text.partition(" ")
        try:
            return cls(float(last), int(count))
        except ValueError:
            return cls()


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
        if self.state.is_stopped:
            return "stopped"
        if self.state.error:
            return "failing"
        return "ready" if self.state.is_enabled else "disabled"


class Sources:
    """The sources of one server."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._queue = dispatcher.queue
        self._dispatcher = dispatcher
        self._sources: dict[str, Source] = {}
        self._begin: list[Callable[[], object]] = []
        self._triggers: dict[Key, Trigger] = {}
        self._marks: dict[Key, str] = {}
        """What was remembered of triggers that have not appeared since the start: what is built yet comes later."""
        self._past: dict[Key, Past] = {}
        self._running = False
        self._tasks = Tasks()
        dispatcher.hear(self._heard)

    def add(self, source: Callable[[Emit], S], begin: Callable[[], object] = lambda: None) -> S:
        """Have one more; `source` makes it. `begin` is called when it knows the first triggers."""
        made = source(self.emit)
        self._begin.append(begin)
        self._sources[made.type] = made
        return made

    async def start(self, table: Table) -> None:
        """Fire from now on, what `table` has to begin with."""
        self._marks = _by_key(await self._queue.marks(_MARK), _MARK)
        past = _by_key(await self._queue.marks(_PAST), _PAST)
        self._past = {key: Past.read(text) for key, text in past.items()}
        self._running = True
        self._take(table, begins=True)
        for begin in self._begin:
            begin()
        for source in self._sources.values():
            self._tasks.begin(f"firing triggers of type {source.type}", self._keep(source))

    def use(self, table: Table) -> None:
        """Something else is served."""
        if self._running:
            self._take(table)

    def _take(self, table: Table, *, begins: bool = False) -> None:
        found = {Key.of(each): each for entry in table.entries.values() for each in entry.triggers}
        if found == self._triggers and not begins:  # sources hear what was there before, though nothing is yet
            return
        marks = self._forgotten(self._triggers.keys() - found.keys())
        self._triggers = found
        for source in self._sources.values():
            marks.update({_name(key): mark for key, mark in self._used(source).items()})
        self._marks = {key: mark for key, mark in self._marks.items() if key not in found}
        if marks:
            self._tasks.begin("remembering what triggers there are", self._remember(marks))

    def _used(self, source: Source) -> Mapping[Key, str]:
        """What a source wants to be remembered of the triggers that it is given now."""
        return source.use({key: each for key, each in self._triggers.items() if each.type == source.type}, self._marks)

    def _forgotten(self, gone: AbstractSet[Key]) -> dict[str, str]:
        """What is to be written of triggers that are there no more."""
        for key in gone:
            self._past.pop(key, None)
        return {name: "" for key in gone for name in (_name(key), _name(key, _PAST))}

    async def _remember(self, marks: Mapping[str, str]) -> None:
        await until_done("what triggers there are can not be remembered", partial(self._queue.put, [], marks))

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

    async def emit(self, *firings: Firing) -> None:
        """Promise the calls of triggers, which fire so often, or none of them. Raises PyfcError."""
        events, now = [_event(firing) for firing in firings], time.time()
        marks = {_name(Key.of(each.trigger)): each.mark for each in firings if each.mark}
        try:
            with self._counted(firings, now) as told:
                await self._dispatcher.submit_all(events, {**marks, **told})
        except AlreadyExists:
            await self._emit_new(firings, marks)
            return
        for event, firing in zip(events, firings, strict=True):
            if not firing.is_held:
                _warn_of_loop(event, firing)
                self._dispatcher.arrived(event)

    @contextlib.contextmanager
    def _counted(self, firings: Sequence[Firing], now: float) -> Iterator[dict[str, str]]:
        """The marks of what triggers have done when they have fired now. It counts at once, since others may be on
        their way, unless what happens inside fails.
        """
        counts = Counter(Key.of(each.trigger) for each in firings)
        pasts = {key: self._past.setdefault(key, Past()) if key in self._triggers else Past() for key in counts}
        for key, past in pasts.items():
            past.count += counts[key]
        try:
            yield {_name(key, _PAST): f"{now} {past.count}" for key, past in pasts.items()}
        except BaseException:
            for key, past in pasts.items():
                past.count -= counts[key]
            raise
        for past in pasts.values():
            past.last = now

    async def _emit_new(self, firings: Sequence[Firing], marks: Mapping[str, str]) -> None:
        """One of these was told before: promise those that were not."""
        if len(firings) == 1:
            await self._queue.put([], marks)
            return
        for firing in firings:
            await self.emit(firing)

    async def take(self, key: Key, limit: int) -> Sequence[Event]:
        """See Holding."""
        return await self._queue.take(_held(key), limit)

    async def calls(self, key: Key) -> Mapping[str, Status]:
        """See Holding."""
        found: dict[str, Status] = {}
        wanted = Filter(service=key.service, function=key.function, newest_first=False, limit=_PAGE)
        while page := await self._queue.list(wanted):
            open_ones = [each for each in page if each.trigger == key.name and each.status not in _DONE]
            found.update((each.id, each.status) for each in open_ones)
            wanted = wanted._replace(after=page[-1].number)
        return found

    def _heard(self, event: Event, status: Status | None) -> None:
        """Something has become of a call; a source may have waited for that."""
        key = Key(event.target.service, event.target.function, event.trigger)
        source: object = self._sources.get(self._triggers[key].type) if key in self._triggers else None
        if isinstance(source, Pacing):
            source.heard(key, event.id, status)

    async def release(self, events: Sequence[Event], firing: Firing | None) -> str:
        """See Holding."""
        call = [_event(firing)] if firing is not None else []
        now = time.time()
        for event in call:
            event.enqueued = now
            event.note(Status.ENQUEUED, now)
        for event in events:
            event.note(Status.SUCCEEDED, now)
        first, *others = events
        await self._queue.settle([Outcome(first, call, forget=True), *(Outcome(each, forget=True) for each in others)])
        for event in call:
            self._dispatcher.arrived(event)
        return call[0].id if call else ""

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


def _warn_of_loop(event: Event, firing: Firing) -> None:
    if event.depth == _SUSPICIOUS:
        name = "/".join(Key.of(firing.trigger))
        _log.warning("trigger %s: %s calls have led to this one; is it a loop?", name, event.depth)


def number_of(identity: str) -> str:
    """The request id of the call that a firing with this identity leads to."""
    return str(uuid.uuid5(_SPACE, identity))


def _event(firing: Firing) -> Event:
    """The call of a trigger that fires."""
    trigger, name = firing.trigger, number_of(firing.identity)
    held = _held(Key.of(trigger))
    target = held if firing.is_held else Target(trigger.service, trigger.function, trigger.qualifier or LATEST)
    return Event(
        id=name, request_id=name, target=target, payload=firing.payload, depth=firing.depth, trigger=trigger.name,
        address=held.function if firing.is_held else "", trace=firing.trace,
    )  # fmt: skip


def _held(key: Key) -> Target:
    """The lane of what is held for a trigger."""
    return Target("", f"{HELD}{'/'.join(key)}")


def _name(key: Key, prefix: str = _MARK) -> str:
    """That of what is remembered of a trigger."""
    return f"{prefix}{'/'.join(key)}"


def _by_key(marks: Mapping[str, str], prefix: str) -> dict[Key, str]:
    return {Key(*name.removeprefix(prefix).split("/", 2)): text for name, text in marks.items()}
