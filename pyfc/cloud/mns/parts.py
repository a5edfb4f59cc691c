"""The parts of the message service of one server, and in which order they come and go."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from pyfc.cloud.mns.asked import Environment
from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.store import Store
from pyfc.data.version import MNS
from pyfc.settings import Settings


def build(folder: Path, settings: Settings, stack: AsyncExitStack) -> Environment:
    """Open it in a data folder; `stack` closes it."""
    store = Store(folder / MNS)
    stack.push_async_callback(store.close)
    return Environment(store, Messages(store), settings.account_id, settings.region)
