"""Triggers of logstores: every `triggerInterval` seconds the function is told from where to where there are new logs
(FC's log trigger, contract §8.1 and §8.3); it pulls them itself.

Each trigger remembers where its last window has ended in the step that promises the call, so windows have neither holes
nor overlaps, whenever the server is killed. What nobody has put since makes no call.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from pyfc.errors import InvalidArgument, PyfcError
from pyfc.model.asynchronous import DEFAULT_RETRIES, Policy
from pyfc.model.trigger import Trigger
from pyfc.triggers.interface import Emit, Firing, Key, State, deleted, is_enabled, option, state_of, within, wrong

_SHORTEST, _USUAL, _LONGEST = 3, 60, 600
"""Seconds of `triggerInterval`."""
_MOST_RETRIES = 100
Own = Callable[[Trigger], tuple[str, str] | None]
"""Project and logstore of the logs that a trigger's function writes by itself, by its logConfig."""
_SPACE = uuid.UUID("0a7f6c52-2f4b-4a36-9d0e-8c1f5f1f9f66")
"""Ids of tasks are made in it of what they are for."""


class Window(NamedTuple):
    """Logs that nobody was told of."""

    end: int
    """The first number that does not belong to it."""
    begin_cursor: str
    end_cursor: str
    received: int
    """When the last of them came, seconds since the epoch."""
    depth: int = 0
    """How many calls have led to them, at the most."""


class Shards(Protocol):
    """The logstores of a log service, of one shard each."""

    @property
    def next(self) -> int:
        """What comes from now on has this number or a higher one."""

    async def have(self, project: str, logstore: str) -> None:
        """Have a logstore, which is made if it is missing. Raises PyfcError."""

    def has(self, project: str, logstore: str) -> bool:
        """Whether a logstore is there."""

    async def window(self, project: str, logstore: str, begin: int) -> Window | None:
        """What a logstore has from a number on; None for nothing. Raises PyfcError, also for one that is not there."""


class _Watched:
    """A trigger that fires."""

    __slots__ = ("begin", "due", "error", "interval", "is_there", "key", "logstore", "project", "trigger")

    def __init__(self, key: Key, trigger: Trigger, begin: int) -> None:
        """Raises InvalidArgument that names the property."""
        self.key = key
        self.begin = begin
        """Where the next window begins."""
        self.due = 0.0
        """When it is looked after again, by the clock that is never set."""
        self.error = ""
        self.is_there = False
        """Whether its logstore was looked for, and made if it was missing."""
        self.take(trigger)

    def take(self, trigger: Trigger) -> None:
        """It is declared so from now on. Raises InvalidArgument that names the property."""
        self.trigger = trigger
        self.is_there = False
        self.project, self.logstore, self.interval = complete(trigger)

    @property
    def place(self) -> tuple[str, str]:
        """The project and logstore that it reads."""
        return self.project, self.logstore


def named(trigger: Trigger) -> tuple[str, str]:
    """The project and the logstore that a trigger names; '' for what it does not."""
    project = project_of(trigger.source_arn) or str(option(option(trigger.config, "logConfig") or {}, "project") or "")
    return project, str(within(trigger.config, "sourceConfig", "logstore") or "")


def complete(trigger: Trigger) -> tuple[str, str, int]:
    """Project, logstore and seconds between two looks of a trigger that can fire. Raises InvalidArgument that says what
    it is without.
    """
    config = trigger.config
    project, logstore = named(trigger)
    interval = within(config, "jobConfig", "triggerInterval") or _USUAL
    if not project:
        raise InvalidArgument(message="neither sourceArn nor logConfig names a project")
    if not logstore:
        raise wrong("sourceConfig.logstore", logstore, "it must name a logstore")
    if not isinstance(interval, int) or not _SHORTEST <= interval <= _LONGEST:
        raise wrong("jobConfig.triggerInterval", interval, f"it must be {_SHORTEST} to {_LONGEST} seconds")
    _retries(config)
    return project, logstore, interval


def policy_of(config: Mapping[str, Any]) -> Policy:
    """How often a window is tried that the function fails with. SLS waits for the answer, so the function's own
    asynchronous configuration does not count.
    """
    return Policy(retries=_retries(config))


def _retries(config: Mapping[str, Any]) -> int:
    """Raises InvalidArgument."""
    found = within(config, "jobConfig", "maxRetryTime")
    if found is None:
        return DEFAULT_RETRIES
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _MOST_RETRIES:
        raise wrong("jobConfig.maxRetryTime", found, f"it must be a whole number from 0 to {_MOST_RETRIES}")
    return found


class LogSource:
    """The triggers of one server's logstores."""

    type = "log"

    def __init__(self, emit: Emit, shards: Shards, region: str, own: Own = lambda _: None) -> None:
        self._emit = emit
        self._own = own
        self._shards = shards
        self._endpoint = f"http://{region}-intranet.log.aliyuncs.com"
        self._watched: dict[Key, _Watched] = {}
        self._readers: Mapping[tuple[str, str], list[_Watched]] = {}
        """By project and logstore."""
        self._errors: dict[Key, str] = {}
        self._changed = asyncio.Event()

    def use(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> Mapping[Key, str]:
        """See Source. A new trigger begins with what comes after it."""
        before, self._watched, self._errors = self._watched, {}, {}
        for key, trigger in triggers.items():
            if not is_enabled(trigger.config):
                continue
            try:
                self._watched[key] = self._kept(key, trigger, before.get(key), marks.get(key, ""))
            except InvalidArgument as error:
                self._errors[key] = str(error)
        self._readers = defaultdict(list)
        for each in self._watched.values():
            self._readers[each.place].append(each)
        self._changed.set()
        return {key: str(each.begin) for key, each in self._watched.items() if key not in before and key not in marks}

    def _kept(self, key: Key, trigger: Trigger, before: _Watched | None, mark: str) -> _Watched:
        if before is not None:
            before.take(trigger)
            return before
        return _Watched(key, trigger, int(mark) if mark.isdecimal() else self._shards.next)

    async def run(self) -> None:
        """See Source."""
        while True:
            self._changed.clear()
            now = time.monotonic()
            missing = [each for each in self._watched.values() if not each.is_there]
            await asyncio.gather(*map(self._have, missing))
            due = [each for each in self._watched.values() if each.due <= now]
            await asyncio.gather(*map(self._look, due))
            await self._wait()

    async def _wait(self) -> None:
        """Until one is due, or others are there."""
        due = min((each.due for each in self._watched.values()), default=None)
        try:
            async with asyncio.timeout(None if due is None else max(due - time.monotonic(), 0)):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _have(self, watched: _Watched) -> None:
        """Have a trigger's logstore."""
        names = watched.place
        try:
            await self._shards.have(*names)
        except PyfcError as error:
            watched.error = str(error)
        watched.is_there = names == watched.place
        watched.due = watched.due or time.monotonic() + watched.interval

    async def _look(self, watched: _Watched) -> None:
        """Tell of what is new in a logstore."""
        watched.due = time.monotonic() + watched.interval
        if self._circle(watched) or not self._shards.has(watched.project, watched.logstore):
            return
        try:
            window = await self._shards.window(watched.project, watched.logstore, watched.begin)
            if window is not None:
                await self._emit(self._firing(watched, window))
                watched.begin = window.end
            watched.error = ""
        except PyfcError as error:  # the next window begins where this one should have
            watched.error = str(error)

    def _circle(self, watched: _Watched) -> str:
        """What keeps a trigger from firing whose function fills what it reads, itself or by the triggers of others that
        read what it fills, so that each call would make the next one; '' if there is nothing. SLS does not look for it.
        """
        steps = self._way_back(watched)
        if not steps:
            return ""
        way = ", which call ".join(
            f"{each.key.service}/{each.key.function}, whose logs go to logstore {store} of project {project}"
            for each, (project, store) in steps
        ).replace(", whose logs", "", 1)
        return f"the logs of {way}, so each call would make the next one: read another logstore, or change logConfig"

    def _way_back(self, watched: _Watched) -> list[tuple[_Watched, tuple[str, str]]]:
        """The triggers, with where their functions' logs go, that lead from one back to what it reads, which is the
        first; none if they do not.
        """
        ways: list[list[tuple[_Watched, tuple[str, str]]]] = [[]]
        seen: set[tuple[str, str]] = set()
        for way in ways:  # the shortest first
            for each in self._readers.get(way[-1][1], ()) if way else (watched,):
                filled = self._own(each.trigger)
                if filled is None or filled in seen:
                    continue
                longer = [*way, (each, filled)]
                if filled == watched.place:
                    return longer
                seen.add(filled)
                ways.append(longer)
        return []

    def _firing(self, watched: _Watched, window: Window) -> Firing:
        identity = f"log/{'/'.join(watched.key)}/{window.begin_cursor}/{window.end_cursor}"
        payload = msgspec.json.encode(self._event(watched, window, identity))
        return Firing(watched.trigger, payload, identity, str(window.end), window.depth)

    def _event(self, watched: _Watched, window: Window, identity: str) -> dict[str, Any]:
        """What SLS tells a function."""
        return {
            "parameter": option(watched.trigger.config, "functionParameter") or {},
            "source": {
                "endpoint": self._endpoint, "projectName": watched.project, "logstoreName": watched.logstore,
                "shardId": 0, "beginCursor": window.begin_cursor, "endCursor": window.end_cursor,
            },
            "jobName": hashlib.sha1("/".join(watched.key).encode(), usedforsecurity=False).hexdigest(),
            "taskId": str(uuid.uuid5(_SPACE, identity)),
            "cursorTime": window.received,
        }  # fmt: skip

    def state(self, key: Key) -> State:
        """See Source."""
        watched, absent, error = self._watched.get(key), "", self._errors.get(key, "")
        if watched is not None and watched.is_there and not self._shards.has(watched.project, watched.logstore):
            absent = deleted(f"logstore {watched.logstore} of project {watched.project}")
        return state_of(watched, error or ("" if watched is None else self._circle(watched)), absent)

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        """See Source. When it is looked for logs: whether there will be any nobody knows."""
        return []


def project_of(arn: str) -> str:
    """The project in acs:log:REGION:ACCOUNT:project/NAME, '' in anything else."""
    parts = arn.split(":", 4)
    kind, _, name = parts[-1].partition("/")
    return name.partition("/")[0] if len(parts) == 5 and parts[1] == "log" and kind == "project" else ""
