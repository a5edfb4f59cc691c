"""What observes the calls of one server, and in which order it comes and goes."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from pyfc.data.version import PROFILES
from pyfc.observe.journal import Journal
from pyfc.observe.logs import FunctionLogs
from pyfc.observe.metrics.metrics import Metrics
from pyfc.observe.profiles.bounds import Bounds
from pyfc.observe.profiles.shelf import Shelf
from pyfc.observe.recent import Recent
from pyfc.observe.requests.requests import Requests
from pyfc.observe.requests.table import Limits
from pyfc.observe.traces.sampling import Sampling
from pyfc.observe.traces.target import destination
from pyfc.settings import Settings


class Parts(NamedTuple):
    """What others ask, or tell what happens."""

    journal: Journal
    metrics: Metrics
    requests: Requests
    recent: Recent
    sampling: Sampling | None
    """None: no spans are exported."""
    bounds: Bounds
    """From when on calls are profiled."""
    profiles: Shelf


def build(folder: Path, settings: Settings, stack: AsyncExitStack) -> Parts:
    """Observe from now on, with files in a data folder; `stack` ends that. Raises InvalidArgument for a file of metrics
    that is none of ours.
    """
    journal = Journal()
    logs = FunctionLogs(folder / "logs", settings.log_file_size, settings.log_file_count)
    journal.listeners.append(logs.listen)
    stack.callback(logs.close)
    metrics = Metrics(folder, journal.flush, is_kept=settings.observe == "on")
    stack.push_async_callback(metrics.close)
    if metrics.is_kept:
        journal.listeners.append(metrics.listen)
    limits = Limits(settings.record_retention, settings.record_bytes)
    target = destination(settings, os.environ)
    requests = Requests(
        folder, logs, settings.record_rate, limits, journal.flush, target,
        begins_traces=target is not None, is_kept=settings.observe == "on",
    )  # fmt: skip
    stack.push_async_callback(requests.close)
    if requests.is_kept:
        journal.listeners.append(requests.listen)
    recent = Recent()
    journal.listeners.append(recent.listen)
    stack.callback(journal.flush)
    sampling = None if target is None else Sampling(settings.trace_ratio)
    bounds = Bounds()
    if requests.is_kept:
        journal.listeners.append(bounds.listen)
    profiles = Shelf(folder / PROFILES, settings.record_retention, settings.profile_bytes)
    return Parts(journal, metrics, requests, recent, sampling, bounds, profiles)
