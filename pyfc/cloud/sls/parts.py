"""The parts of the log service of one server, and in which order they come and go."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from pyfc.cloud.sls.asked import Environment
from pyfc.cloud.sls.function_logs import FunctionLogstores, Services
from pyfc.cloud.sls.heartbeats import Heartbeats
from pyfc.cloud.sls.searchers import Searcher
from pyfc.cloud.sls.store import Store
from pyfc.data.version import SLS, SLS_INDEX
from pyfc.observe.journal import Journal
from pyfc.settings import Settings


def build(folder: Path, settings: Settings, stack: AsyncExitStack, journal: Journal, services: Services) -> Environment:
    """Open it in a data folder; `stack` closes it. `services`: whose logs go where."""
    store = Store(folder / SLS, settings.log_service_bytes, settings.log_service_days)
    stack.push_async_callback(store.close)
    searcher = Searcher(folder / SLS, folder / SLS_INDEX)
    stack.push_async_callback(searcher.close)
    written = FunctionLogstores(store, searcher, services)
    stack.push_async_callback(written.close)
    journal.listeners.append(written.listen)
    stack.callback(journal.flush)
    return Environment(store, searcher, Heartbeats(), settings.account_id, settings.region)
