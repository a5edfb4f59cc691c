"""The lanes of a server: events come out of the queue, wait in memory, and run, as far as there is room.

Every lane has a window of events that run or wait for an instance, so that one with a long queue does not hold up
another. No failure leaves one standing: what the queue fails by is tried again until it succeeds; an event by which
pyfc itself fails rests for a while, and the others of its lane go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from pyfc.dispatch.lane import Gate, Lane, News, Supply, Turn
from pyfc.dispatch.memory import Memory
from pyfc.dispatch.persistence import report, until_done
from pyfc.model.asynchronous import HELD, Event, refusal_delay
from pyfc.model.names import Target
from pyfc.queues.interface import Queue
from pyfc.tasks import Tasks

_WINDOW = 64
"""Events of a lane that are under way at once."""
_BATCH = 256
_MOST_READY = 1024
"""Events of a lane that need not be read again."""


class Lanes:
    """All lanes. `begin` makes an attempt at an event; what it raises lets the event rest."""

    def __init__(self, queue: Queue, tasks: Tasks, begin: Callable[[Lane, Event], None]) -> None:
        self._queue = queue
        self._tasks = tasks
        self._begin = begin
        self._lanes: dict[Target, Lane] = {}
        self._gate = Gate.OPEN
        """Of lanes that are new."""
        self._memory = Memory()
        self._starved: dict[Target, Lane] = {}
        """Those that have more, for which there is no room."""
        self._idle = asyncio.Event()

    def __getitem__(self, name: Target) -> Lane:
        """A lane, a new one if there is none."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, self._gate)
        return lane

    def all(self) -> list[Lane]:
        """Those that have had an event."""
        return list(self._lanes.values())

    def deepest(self, function: Target) -> int:
        """The greatest depth of the events that a function runs, whatever qualifier they were for."""
        lanes = (lane for lane in self._lanes.values() if lane.name[:2] == function[:2])
        return max((event.depth for lane in lanes for event in lane.running.values()), default=0)

    def arrived(self, event: Event) -> None:
        """An event is in the queue now, and due."""
        lane = self[event.lane]
        if not (lane.supply is Supply.NONE and len(lane.ready) < _MOST_READY and self._claims(event)):
            lane.heard(News.CAME)
        self.pump(lane)

    def _claims(self, event: Event) -> bool:
        """Whether it is in memory now, without being asked for."""
        try:
            is_ours = self._memory.has_room and self._queue.claim(event)
        except Exception as error:
            report("an asynchronous call can not be taken at once", error)
            return False
        if is_ours:
            self._memory.add(event)
            self[event.lane].ready.append(event)
        return is_ours

    def look(self, names: Iterable[Target]) -> None:
        """The queue has something of these. What is held back for a source is taken by that."""
        for name in names:
            if name.function.startswith(HELD):
                continue
            lane = self[name]
            lane.heard(News.CAME)
            self.pump(lane)

    def pump(self, lane: Lane) -> None:
        """Run what a lane has, as far as its window allows, and see to it that it has some."""
        while lane.gate is Gate.OPEN and lane.ready and len(lane.running) < _WINDOW:
            self._run(lane, lane.ready.popleft())
        if lane.gate is not Gate.OPEN or len(lane.ready) >= _WINDOW or lane.supply not in {Supply.MORE, Supply.STARVED}:
            return
        if self._memory.has_room or lane.is_empty:
            self._starved.pop(lane.name, None)
            lane.heard(News.READ)
            self._tasks.begin(f"the queue of {'/'.join(lane.name)}", self._take(lane))
        else:
            lane.heard(News.NO_ROOM)
            self._starved[lane.name] = lane

    def _run(self, lane: Lane, event: Event) -> None:
        lane.running[event.number] = event
        try:
            self._begin(lane, event)
        except Exception as error:
            self.rest(event, error)

    async def _take(self, lane: Lane) -> None:
        what = f"what waits for {'/'.join(lane.name)} can not be read"
        size = self._memory.reserve()
        events = await until_done(what, partial(self._queue.take, lane.name, _BATCH, size))
        self._memory.fill(size, events)
        lane.ready.extend(events)
        lane.heard(News.FOUND if events else News.NOTHING)
        self.pump(lane)

    def refused(self, event: Event, turn: Turn) -> None:
        """There was no room for it, or it may not run: it is the first of its lane again, which waits for a while."""
        lane = self[event.lane]
        self._ended(lane, event)
        lane.refused(event, turn, self.resume)

    def resume(self, lane: Lane) -> None:
        """Its pause is over."""
        lane.resumed()
        self.pump(lane)

    def rest(self, event: Event, error: Exception) -> None:
        """pyfc itself has failed with an event: it rests, out of the way of the others of its lane."""
        event.refusals += 1
        delay = refusal_delay(event.refusals)
        report(f"the asynchronous call {event.request_id} could not be dealt with (again in {delay:.1f} s)", error)
        lane = self[event.lane]
        self._ended(lane, event)
        lane.rest(event, delay, self._rested)
        asyncio.get_running_loop().call_soon(self.pump, lane)

    def _rested(self, lane: Lane, event: Event) -> None:
        lane.resting.pop(event.number, None)
        lane.ready.append(event)
        self.pump(lane)

    def settled(self, event: Event) -> None:
        """What has become of it is durable. Until then it counts as running."""
        self._memory.drop(event)
        lane = self[event.lane]
        self._ended(lane, event)
        self.pump(lane)
        if self._starved and self._memory.has_room:
            starved, self._starved = self._starved, {}
            for each in starved.values():
                each.heard(News.ROOM)
                self.pump(each)

    def held(self, event: Event) -> Event | None:
        """An event as it is in memory, if it is."""
        lane = self._lanes.get(event.lane)
        return lane.held(event.number) if lane is not None else None

    def withdraw(self, event: Event) -> bool:
        """Keep an event that is in memory from being tried by itself: whoever asks makes an end of it. False if it
        runs already.
        """
        lane = self[event.lane]
        if event.number in lane.running:
            return False
        lane.withdraw(event.number)
        lane.running[event.number] = event
        return True

    def _ended(self, lane: Lane, event: Event) -> None:
        lane.ended(event)
        if self._gate is Gate.CLOSED and not self._is_running:
            self._idle.set()

    @property
    def _is_running(self) -> bool:
        return any(lane.running for lane in self._lanes.values())

    async def close(self) -> None:
        """Begin nothing more, and return when nothing runs any more."""
        self._gate = Gate.CLOSED
        for lane in self._lanes.values():
            lane.closed()
        if self._is_running:
            await self._idle.wait()
