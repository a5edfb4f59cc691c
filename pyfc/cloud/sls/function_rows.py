"""Rows of functions' logstores, as FC writes them there: where a function's rows belong, and what is in each kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from pyfc.cloud.sls.groups import Pairs
from pyfc.model.function import Function, Service
from pyfc.model.invocation import Result
from pyfc.model.names import DEFAULT_SERVICE, LATEST
from pyfc.observe.journal import CallRecord, OutputRecord, Record
from pyfc.observe.lives import Life, Sample
from pyfc.observe.markers import transcript

PERIOD = 10
"""Seconds between two samples of an instance."""
_MEGABYTE = 1024 * 1024


class LogConfig(NamedTuple):
    """What a logConfig says."""

    project: str
    logstore: str
    of_requests: bool = False
    """Whether there is a row for each call."""
    of_instances: bool = False
    """Whether there are rows of what instances go through and use."""


def config_of(function: Function, service: Service | None) -> LogConfig | None:
    """That of a function, or of its service; None without a logstore."""
    own, told = function.extras.get("logConfig"), service.extras.get("logConfig") if service is not None else None
    if isinstance(own, Mapping) and own.get("project"):
        found = _config(str(own["project"]), str(own.get("logstore") or ""), own)
    elif service is not None:
        found = _config(service.log_project, service.log_store, told)
    else:
        return None
    return found if found.project and found.logstore else None


def _config(project: str, logstore: str, said: object) -> LogConfig:
    flags = said if isinstance(said, Mapping) else {}
    requests, instances = (flags.get(f"enable{name}Metrics") is True for name in ("Request", "Instance"))
    return LogConfig(project, logstore, requests, instances)


def topic_of(kind: str, function: Function) -> str:
    """`FCLogs:SERVICE/NAME`, or for a function without a service `FCLogs:NAME`, but `FCRequestMetrics:/NAME`."""
    if function.service != DEFAULT_SERVICE:
        return f"{kind}:{function.service}/{function.name}"
    return f"{kind}:{'' if kind == 'FCLogs' else '/'}{function.name}"


def lines(record: Record) -> list[Pairs]:
    """Rows of FCLogs: a line each, with the marker lines around a call's."""
    common = _common(record.function, _instance(record), _qualifier(record))
    return [
        [("message", text), *common] for text in filter(None, _text(record).decode("utf-8", "replace").splitlines())
    ]


def _text(record: Record) -> bytes:
    if isinstance(record, OutputRecord):
        return record.data
    if record.result is None:
        return f"FC refused the call {record.call.request_id}: {record.error}".encode()
    return transcript(record.call.request_id, record.function, record.result)


def _instance(record: Record) -> str:
    if isinstance(record, OutputRecord):
        return record.instance_id
    return "" if record.result is None else record.result.usage.instance_id


def _qualifier(record: Record) -> str:
    return record.call.target.qualifier if isinstance(record, CallRecord) else LATEST


def _common(function: Function, instance_id: str, qualifier: str) -> Pairs:
    """What every row has."""
    service = "" if function.service == DEFAULT_SERVICE else function.service
    return [
        ("serviceName", service), ("functionName", function.name), ("qualifier", qualifier),
        ("versionId", function.version_id or LATEST), ("instanceID", instance_id),
    ]  # fmt: skip


def request_metrics(record: CallRecord) -> Pairs:
    """A row of FCRequestMetrics."""
    call, result, function = record.call, record.result, record.function
    trace = call.trace[0] if call.trace is not None else ""
    fault = None if result is None else result.fault
    found = [
        *_common(function, _instance(record), call.target.qualifier), ("requestId", call.request_id),
        ("operation", "InvokeFunction"), ("invocationType", "Async" if call.cause is not None else "Sync"),
        ("memoryMB", str(function.limits.memory_size)), ("hasFunctionError", _truth(fault is not None)),
        ("errorType", "" if fault is None else fault.kind.metric_type),
        ("statusCode", str(record.status)), ("resourceMode", "OnDemand"),
        ("isSampled", _truth(bool(trace))), ("traceContext", trace),
    ]  # fmt: skip
    if call.http is not None:
        found += [("triggerType", "http"), ("method", call.http.method), ("requestURI", call.http.request_uri)]
    return [*found, *_measured(record.time, result)] if result is not None else found


def _measured(ended: float, result: Result) -> Pairs:
    """What of a call was measured; it ended at that time."""
    usage = result.usage
    start, duration = usage.start, usage.duration * 1000
    took = duration + (start.waited * 1000 if start is not None else 0.0)
    initialized = start.phases.initializer * 1000 if start is not None and start.phases is not None else 0.0
    return [
        ("durationMs", f"{duration:.2f}"), ("memoryUsageMB", f"{usage.peak_memory:.2f}"),
        ("isColdStart", _truth(usage.cold)), ("initializationDurationMs", f"{initialized:.2f}"),
        ("invocationStartTimestamp", str(int(ended * 1000 - duration))),
        ("invokeFunctionStartTimestamp", str(int(ended * 1000 - took))), ("invokeFunctionLatencyMs", f"{took:.2f}"),
    ]  # fmt: skip


def instance_event(life: Life) -> Pairs:
    """A row of FCInstanceEvents."""
    name, level = f"fc:Instance:{life.passed.value}", "Warning" if life.passed.is_warning else "Normal"
    event = {"name": name, "level": level, "time": int(life.time * 1000)}
    common = _common(life.function, life.instance_id, life.function.version_id or LATEST)
    return [("message", name), ("events", json.dumps([event])), *common]


def instance_metrics(sample: Sample, before: Sample | None) -> Pairs:
    """A row of FCInstanceMetrics. `before`: the instance's last sample."""
    function = sample.function
    limit, held = function.limits.memory_size, sample.memory / _MEGABYTE
    return [
        ("aggPeriodSeconds", str(PERIOD)), ("concurrentRequests", str(sample.requests)),
        ("cpuPercent", f"{_share(sample, before):.2f}"), ("cpuQuotaPercent", f"{function.vcpu * 100:.2f}"),
        ("memoryLimitMB", f"{limit:.2f}"), ("memoryUsageMB", f"{held:.2f}"),
        ("memoryUsagePercent", f"{held / limit * 100:.2f}"), ("operation", "InvokeFunction"),
        *_common(function, sample.instance_id, function.version_id or LATEST),
    ]  # fmt: skip


def _share(sample: Sample, before: Sample | None) -> float:
    """Per cent of one processor since the last sample; processes that have ended since take theirs with them."""
    seconds = sample.time - before.time if before is not None else 0.0
    return max(0.0, sample.cpu - before.cpu) / seconds * 100 if before is not None and seconds > 0 else 0.0


def _truth(is_so: bool) -> str:
    return str(is_so).lower()
