"""The parts of the log service of one server, and in which order they come and go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from pyfc.auth.keys import Key
from pyfc.cloud.sls.asked import Environment
from pyfc.cloud.sls.function_logs import FunctionLogstores, Samples, Services
from pyfc.cloud.sls.heartbeats import Heartbeats
from pyfc.cloud.sls.searchers import Searcher
from pyfc.cloud.sls.store import Store
from pyfc.data.version import SLS, SLS_INDEX
from pyfc.observe.journal import Journal
from pyfc.settings import Settings


class Parts(NamedTuple):
    """What others need of it."""

    environment: Environment
    functions: FunctionLogstores


class Origin(NamedTuple):
    """Where logs of functions come from, and what their calls put."""

    journal: Journal
    services: Services
    """Which say where logs go."""
    samples: Samples
    led_by: Callable[[Key], int]
    """See Environment."""


def build(folder: Path, settings: Settings, stack: AsyncExitStack, origin: Origin) -> Parts:
    """Open it in a data folder; `stack` closes it."""
    store = Store(folder / SLS, settings.log_service_bytes, settings.log_service_days)
    stack.push_async_callback(store.close)
    store.aging.watch()
    searcher = Searcher(folder / SLS, folder / SLS_INDEX)
    stack.push_async_callback(searcher.close)
    written = FunctionLogstores(store, searcher, origin.services, origin.samples)
    stack.push_async_callback(written.close)
    origin.journal.listeners.append(written.listen)
    origin.journal.followers.append(written.follow)
    stack.callback(origin.journal.flush)
    return Parts(
        Environment(store, searcher, Heartbeats(), settings.account_id, settings.region, set(), origin.led_by), written
    )
