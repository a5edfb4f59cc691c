"""Calls that take longer than others of their function are looked at while they run, for functions that ask for it.

1. A call is looked at from the moment it is older than 99 of 100 of the calls before it (observe/profiles/bounds.py).
2. At most two are looked at at once on the server, one in an instance; of those that could be the oldest comes first.
   After one its function has a pause, so that looking never becomes the work.
3. Calls do not know of it: while a function has instances that are awake a timer looks at how old its calls are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pyfc.errors import PyfcError
from pyfc.model.function import Function
from pyfc.observe.profiles import speedscope
from pyfc.observe.profiles.bounds import Bounds
from pyfc.observe.profiles.shelf import Shelf
from pyfc.sandbox.sandbox import Sandbox
from pyfc.supervisor.affine import pools_of
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.pool import Pool
from pyfc.tasks import Tasks
from pyfc.workers import profiling
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls
from pyfc.workers.profiling import Taken

_log = logging.getLogger(__name__)
_LOOK = 0.05
_MOST = 2
"""Profiles that are taken at once."""
_PAUSE = 1.0
"""Seconds in which no other call of the same function is looked at."""
_LONGEST = 60.0
"""Seconds of a profile."""
_BEFORE = 0.5
"""Seconds before a call's deadline: a worker that is killed takes its profiler with it."""
_END = 3.0
"""Seconds in which what was seen is kept when the server stops."""
_TRIED = 64
_READERS = {"py-spy": speedscope.read, "own": speedscope.read_v8}


class Late(NamedTuple):
    """A call that has become too old."""

    link: Calls
    flight: Flight


Take = Callable[[Calls, Birth, str, asyncio.Event], Awaitable[Taken]]
"""Looks into the worker of a link until it is enough."""


class Profiling:
    """The profiles of one server."""

    def __init__(self, sandbox: Sandbox, bounds: Bounds, shelf: Shelf, take: Take | None = None) -> None:
        """`bounds` hears of all calls."""
        self._sandbox = sandbox
        self.bounds = bounds
        self._shelf = shelf
        self._take = take or self._take_with
        self._running: dict[str, asyncio.Event] = {}
        """By request id: set when it is enough."""
        self._busy: set[Calls] = set()
        self._told: set[str] = set()
        self._keeping = asyncio.Lock()
        self._tasks = Tasks()
        bounds.ended = self._ended

    @property
    def has_room(self) -> bool:
        """Whether one more can be taken now."""
        return len(self._running) < _MOST

    def watch(self, function: Function, birth: Birth) -> Watch | None:
        """What looks after the calls of a function; None if it does not ask for it, or cannot have it here."""
        profiler = birth.spec.runtime.profiler
        if not function.profile:
            return None
        reason = f"there is no profiler for {birth.spec.runtime.title}"
        if profiler:
            reason = profiling.missing(self._sandbox, profiler)
        if reason:
            self._tell(f"{function.service}/{function.name} asks for profiles and gets none: {reason}")
            return None
        self.bounds.forget(function)
        return Watch(self, function, birth)

    def _tell(self, text: str) -> None:
        """Once."""
        if text not in self._told:
            self._told.add(text)
            _log.warning("%s", text)

    def can_begin(self, link: Calls) -> bool:
        """Whether this worker can be looked at now."""
        return self.has_room and link not in self._busy

    def begin(self, late: Late, watch: Watch) -> None:
        """Look at a call until it has ended."""
        name = late.flight.call.request_id
        self._running[name] = asyncio.Event()
        self._busy.add(late.link)
        self._tasks.begin(f"the profile of call {name}", self._profile(late, watch))

    def _ended(self, request_id: str) -> None:
        if request_id in self._running:
            self._running[request_id].set()

    async def _profile(self, late: Late, watch: Watch) -> None:
        link, flight = late
        name, function = flight.call.request_id, watch.function
        enough = self._running[name]
        left = flight.deadline - time.monotonic() - _BEFORE
        timer = asyncio.get_running_loop().call_later(max(min(left, _LONGEST), 0.0), enough.set)
        try:
            taken = await self._take(link, watch.birth, watch.profiler, enough)
        except (OSError, PyfcError) as error:
            taken = Taken(b"", str(error))
        finally:
            timer.cancel()
            del self._running[name]
            self._busy.discard(link)
            watch.rest()
        if not taken.data:
            if taken.problem and not enough.is_set():
                self._tell(f"no profile of a call of {function.service}/{function.name}: {taken.problem}")
            return
        age = (taken.began or time.monotonic()) - flight.started
        head = f"{function.service}/{function.name} {name}: from {1000 * age:.0f} ms on"
        if function.limits.instance_concurrency > 1:
            head += ", all calls of its instance"
        try:
            stacks = await asyncio.to_thread(_READERS[watch.profiler], taken.data)
            if not stacks.threads:
                return
            async with self._keeping:
                await asyncio.to_thread(self._shelf.keep, name, speedscope.document(stacks, head))
        except (OSError, ValueError) as error:
            self._tell(f"a profile of a call of {function.service}/{function.name} is lost: {error}")

    async def _take_with(self, link: Calls, birth: Birth, profiler: str, enough: asyncio.Event) -> Taken:
        wish = birth.confine(link.worker.cell)
        return await profiling.take(self._sandbox, link.worker, wish, profiler, enough)

    async def close(self) -> None:
        """Look no more, and keep what was seen."""
        for enough in self._running.values():
            enough.set()
        if tasks := list(self._tasks):
            await asyncio.wait(tasks, timeout=_END)
        await self._tasks.close()


class Watch:
    """Looks after the calls of one function version."""

    def __init__(self, profiling: Profiling, function: Function, birth: Birth) -> None:
        self.function = function
        self.birth = birth
        self.profiler = birth.spec.runtime.profiler
        self._profiling = profiling
        self._pool: Pool | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rests_until = float("-inf")
        self._tried: deque[str] = deque(maxlen=_TRIED)

    def follow(self, pool: Pool) -> None:
        """These are its calls."""
        self._pool = pool

    def arm(self) -> None:
        """An instance is awake."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def rest(self) -> None:
        """A profile has been taken."""
        self._rests_until = time.monotonic() + _PAUSE

    def _look(self) -> None:
        self._timer = None
        if self._pool is None:
            return
        awake = [
            link for pool in pools_of(self._pool) for link, instance in pool.roster.by_link.items()
            if not instance.is_frozen
        ]  # fmt: skip
        if awake:
            self.arm()
            self.look_at(awake, time.monotonic())

    def look_at(self, links: list[Calls], now: float) -> None:
        """Begin to look at the oldest calls, if they are too old."""
        busy = [link for link in links if link.in_flight]
        if not busy or now < self._rests_until or not self._profiling.has_room:
            return
        bound = self._profiling.bounds.of(self.function, now)
        for each in self._late(busy, now - bound) if bound is not None else []:
            if self._profiling.can_begin(each.link):
                self._tried.append(each.flight.call.request_id)
                self._profiling.begin(each, self)

    def _late(self, links: list[Calls], before: float) -> list[Late]:
        """The calls that have begun before that time and nobody has looked at, the oldest first."""
        late = [
            Late(link, flight) for link in links for _, flight in link.discipline.begun()
            if flight.started < before and not flight.late and flight.call.request_id not in self._tried
        ]  # fmt: skip
        return sorted(late, key=lambda each: each.flight.started)
