"""Logs of functions whose logConfig names a logstore, as FC writes them there: topic FCLogs, and where they are asked
for FCRequestMetrics, FCInstanceEvents and FCInstanceMetrics.

What happens is told by the journal and written every second. Project and logstore are made when such a function is
served, and again when they are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.function_rows import (
    PERIOD,
    LogConfig,
    config_of,
    instance_event,
    instance_metrics,
    lines,
    request_metrics,
    topic_of,
)
from pyfc.cloud.sls.groups import Labels, Log, Pairs, write_group
from pyfc.cloud.sls.model import DEFAULT_DAYS, OF_FUNCTIONS, Logstore, Project
from pyfc.cloud.sls.searchers import Searcher
from pyfc.cloud.sls.store import Store
from pyfc.model.function import Function, Service
from pyfc.observe.journal import CallRecord, Record
from pyfc.observe.lives import Life, Sample
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_EVERY = 1.0
"""Seconds for which rows are gathered."""
_MOST_WAITING = 64 * 1024 * 1024
"""Bytes of rows that wait to be written; what is beyond is lost, and told once."""
_MOST_ROWS = 5000
"""Rows of a group."""
Services = Callable[[], Mapping[str, Service]]
Samples = Callable[[Callable[[Function], bool]], Awaitable[list[Sample]]]


class _Place(NamedTuple):
    project: str
    logstore: str
    topic: str


class FunctionLogstores:
    """What functions write, in their logstores."""

    def __init__(self, store: Store, searcher: Searcher, services: Services, samples: Samples) -> None:
        """`services`: those that are served, by name. `samples`: what the instances use of the functions for which that
        is wanted.
        """
        self._store = store
        self._searcher = searcher
        self._services = services
        self._samples = samples
        self._waiting: defaultdict[_Place, list[Log]] = defaultdict(list)
        self._size = 0
        self._tasks = Tasks()
        self._writing: asyncio.Task[None] | None = None
        self._sampling: asyncio.Task[None] | None = None
        self._making = asyncio.Lock()
        self._has_lost = False
        self._ending = asyncio.Event()

    def use(self, functions: Iterable[Function]) -> None:
        """These are served from now on."""
        configs = set(filter(None, map(self._config, functions)))
        missing = {(each.project, each.logstore) for each in configs} - self._store.logstores.keys()
        if missing:
            self._tasks.begin("making logstores of functions", self._make(missing))
        self._watch(any(each.of_instances for each in configs))

    def _watch(self, is_wanted: bool) -> None:
        """Take samples of instances, or do no more."""
        if is_wanted and self._sampling is None:
            self._sampling = self._tasks.begin("sampling what instances use", self._sample())
        elif not is_wanted and self._sampling is not None:
            self._sampling.cancel()
            self._sampling = None

    async def _make(self, places: Iterable[tuple[str, str]]) -> None:
        for place in places:
            try:
                await self._logstore(*place)
            except Fault as fault:
                _log.warning("logstore %s of project %s can not be made: %s", place[1], place[0], fault)

    def listen(self, batch: list[Record]) -> None:
        """A Journal listener."""
        last, config = None, None
        for record in batch:
            if record.function is not last:  # most of a batch are of few functions, and most of these have no logstore
                last = record.function
                config = self._config(last)
            if config is not None:
                self._take(record, config)
        self._begin()

    def follow(self, life: Life) -> None:
        """A Journal follower."""
        config = self._config(life.function)
        if config is not None and config.of_instances:
            self._add(config, "FCInstanceEvents", life.function, life.time, instance_event(life))
            self._begin()

    def _config(self, function: Function) -> LogConfig | None:
        return config_of(function, self._services().get(function.service))

    def _take(self, record: Record, config: LogConfig) -> None:
        for row in lines(record):
            self._add(config, "FCLogs", record.function, record.time, row)
        if isinstance(record, CallRecord) and config.of_requests:
            self._add(config, "FCRequestMetrics", record.function, record.time, request_metrics(record))

    async def _sample(self) -> None:
        before: dict[str, Sample] = {}
        while True:
            found = await self._samples(self._is_sampled)
            for sample in found:
                config, last = self._config(sample.function), before.get(sample.instance_id)
                if config is not None:
                    row = instance_metrics(sample, last)
                    self._add(config, "FCInstanceMetrics", sample.function, sample.time, row)
            before = {each.instance_id: each for each in found}
            self._begin()
            await asyncio.sleep(PERIOD)

    def _is_sampled(self, function: Function) -> bool:
        config = self._config(function)
        return config is not None and config.of_instances

    def _add(self, config: LogConfig, kind: str, function: Function, moment: float, contents: Pairs) -> None:
        size = 64 + sum(len(key) + len(value) for key, value in contents)
        if self._size + size > _MOST_WAITING:
            if not self._has_lost:
                _log.warning("functions write more than the log service can keep up with: some lines are only in files")
            self._has_lost = True
            return
        self._size += size
        seconds = int(moment)
        place = _Place(config.project, config.logstore, topic_of(kind, function))
        self._waiting[place].append(Log(seconds, int((moment - seconds) * 1_000_000_000), contents))

    def _begin(self) -> None:
        """Write soon what waits."""
        if self._waiting and (self._writing is None or self._writing.done()) and not self._ending.is_set():
            self._writing = self._tasks.begin("writing functions' logs", self._write_soon())

    async def _write_soon(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._ending.wait()
            await self._write()

    async def _write(self) -> None:
        waiting, self._waiting, self._size = self._waiting, defaultdict(list), 0
        for place, logs in waiting.items():
            try:
                logstore = await self._logstore(place.project, place.logstore)
                for begin in range(0, len(logs), _MOST_ROWS):
                    part = logs[begin : begin + _MOST_ROWS]
                    labels = Labels(place.topic, "")
                    data = await asyncio.to_thread(write_group, labels, part)
                    await self._store.put(logstore, labels, len(part), data)
            except Fault as fault:
                _log.warning("logs of functions can not be put into logstore %s: %s", place.logstore, fault)
        self._searcher.tell()

    async def _logstore(self, project: str, name: str) -> Logstore:
        """One that is there already, or is made. Raises Fault."""
        async with self._making:
            now = int(time.time())
            if project not in self._store.projects:
                made = Project(project, OF_FUNCTIONS, now, now)
                await self._store.put_project(made, is_new=True)
            found = self._store.logstores.get((project, name))
            return found or await self._store.create_logstore(project, name, {"ttl": DEFAULT_DAYS})

    async def close(self) -> None:
        """Write what waits."""
        self._ending.set()
        if self._writing is not None:
            await asyncio.wait({self._writing})
        await self._tasks.close()
        await self._write()
