"""Logs of functions whose logConfig names a logstore, as FC writes them there: its topics FCLogs, a row for each line
with the marker lines around a call's, and FCRequestMetrics where they are asked for.

What happens is told by the journal and written every second. Project and logstore are made when they are first needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.groups import Labels, Log, Pairs, write_group
from pyfc.cloud.sls.model import DEFAULT_DAYS, Logstore, Project
from pyfc.cloud.sls.searchers import Searcher
from pyfc.cloud.sls.store import Store
from pyfc.model.function import Function, Service
from pyfc.model.invocation import FaultKind, Result
from pyfc.model.names import DEFAULT_SERVICE, LATEST
from pyfc.observe.journal import CallRecord, OutputRecord, Record
from pyfc.observe.markers import transcript
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_EVERY = 1.0
"""Seconds for which rows are gathered."""
_MOST_WAITING = 64 * 1024 * 1024
"""Bytes of rows that wait to be written; what is beyond is lost, and told once."""
_MOST_ROWS = 5000
"""Rows of a group."""
_ERRORS = {FaultKind.TIMEOUT: "FunctionTimeoutError", FaultKind.OUT_OF_MEMORY: "FunctionOOMError"}
Services = Callable[[], Mapping[str, Service]]


class _Place(NamedTuple):
    project: str
    logstore: str
    topic: str


class _Config(NamedTuple):
    """What a logConfig says."""

    project: str
    logstore: str
    with_metrics: bool


class FunctionLogstores:
    """What functions write, in their logstores."""

    def __init__(self, store: Store, searcher: Searcher, services: Services) -> None:
        """`services`: those that are served, by name."""
        self._store = store
        self._searcher = searcher
        self._services = services
        self._waiting: defaultdict[_Place, list[Log]] = defaultdict(list)
        self._size = 0
        self._tasks = Tasks()
        self._writing: asyncio.Task[None] | None = None
        self._has_lost = False
        self._ending = asyncio.Event()

    def listen(self, batch: list[Record]) -> None:
        """A Journal listener."""
        services, last, config = self._services(), None, None
        for record in batch:
            if (
                record.function is not last
            ):  # most of a batch are of few functions, and most of these log to files alone
                last = record.function
                config = _config(last, services.get(last.service))
            if config is not None:
                self._take(record, config)
        if self._waiting and (self._writing is None or self._writing.done()):
            self._writing = self._tasks.begin("writing functions' logs", self._write_soon())

    def _take(self, record: Record, config: _Config) -> None:
        function = record.function
        name = function.name if function.service == DEFAULT_SERVICE else f"{function.service}/{function.name}"
        place, common = _Place(config.project, config.logstore, f"FCLogs:{name}"), _common(record)
        for text in filter(None, _text(record).decode("utf-8", "replace").splitlines()):
            self._add(place, record.time, [("message", text), *common])
        if isinstance(record, CallRecord) and config.with_metrics:
            topic = f"FCRequestMetrics:{'/' if name == function.name else ''}{name}"
            self._add(place._replace(topic=topic), record.time, _metrics(record))

    def _add(self, place: _Place, moment: float, contents: Pairs) -> None:
        size = 64 + sum(len(key) + len(value) for key, value in contents)
        if self._size + size > _MOST_WAITING:
            if not self._has_lost:
                _log.warning("functions write more than the log service can keep up with: some lines are only in files")
            self._has_lost = True
            return
        self._size += size
        seconds = int(moment)
        self._waiting[place].append(Log(seconds, int((moment - seconds) * 1_000_000_000), contents))

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
                logstore = await self._logstore(place)
                for begin in range(0, len(logs), _MOST_ROWS):
                    part = logs[begin : begin + _MOST_ROWS]
                    labels = Labels(place.topic, "")
                    data = await asyncio.to_thread(write_group, labels, part)
                    await self._store.put(logstore, labels, len(part), data)
            except Fault as fault:
                _log.warning("logs of functions can not be put into logstore %s: %s", place.logstore, fault)
        self._searcher.tell()

    async def _logstore(self, place: _Place) -> Logstore:
        now = int(time.time())
        if place.project not in self._store.projects:
            made = Project(place.project, "made for logs of functions", now, now)
            await self._store.put_project(made, is_new=True)
        found = self._store.logstores.get((place.project, place.logstore))
        return found or await self._store.create_logstore(place.project, place.logstore, {"ttl": DEFAULT_DAYS})

    async def close(self) -> None:
        """Write what waits."""
        self._ending.set()
        if self._writing is not None:
            await asyncio.wait({self._writing})
        await self._write()


def _config(function: Function, service: Service | None) -> _Config | None:
    """The logConfig of a function, or of its service; None without a logstore."""
    own, told = function.extras.get("logConfig"), service.extras.get("logConfig") if service is not None else None
    if isinstance(own, Mapping) and own.get("project"):
        found = _Config(str(own["project"]), str(own.get("logstore") or ""), own.get("enableRequestMetrics") is True)
    elif service is not None:
        has_metrics = isinstance(told, Mapping) and told.get("enableRequestMetrics") is True
        found = _Config(service.log_project, service.log_store, has_metrics)
    else:
        return None
    return found if found.project and found.logstore else None


def _text(record: Record) -> bytes:
    if isinstance(record, OutputRecord):
        return record.data
    if record.result is None:
        return f"FC refused the call {record.call.request_id}: {record.error}".encode()
    return transcript(record.call.request_id, record.function, record.result)


def _common(record: Record) -> Pairs:
    """What every row of a record has."""
    function = record.function
    instance = record.instance_id if isinstance(record, OutputRecord) else _instance(record.result)
    qualifier = record.call.target.qualifier if isinstance(record, CallRecord) else LATEST
    service = "" if function.service == DEFAULT_SERVICE else function.service
    return [
        ("serviceName", service), ("functionName", function.name), ("qualifier", qualifier),
        ("versionId", function.version_id or LATEST), ("instanceID", instance),
    ]  # fmt: skip


def _instance(result: Result | None) -> str:
    return "" if result is None else result.usage.instance_id


def _metrics(record: CallRecord) -> Pairs:
    """A row of FCRequestMetrics."""
    call, result, function = record.call, record.result, record.function
    fault = None if result is None else result.fault
    found = [
        *_common(record), ("requestId", call.request_id), ("operation", "InvokeFunction"),
        ("invocationType", "Async" if call.attempt else "Sync"),
        ("memoryMB", str(function.limits.memory_size)), ("hasFunctionError", str(fault is not None).lower()),
        ("errorType", "" if fault is None else _ERRORS.get(fault.kind, "FunctionUnhandledError")),
        ("statusCode", str(record.status)),
    ]  # fmt: skip
    if result is not None:
        milliseconds = result.usage.duration * 1000
        found += [
            ("durationMs", f"{milliseconds:.2f}"), ("memoryUsageMB", f"{result.usage.peak_memory:.2f}"),
            ("isColdStart", str(result.usage.cold).lower()),
            ("invocationStartTimestamp", str(int(record.time * 1000 - milliseconds))),
        ]  # fmt: skip
    return found
