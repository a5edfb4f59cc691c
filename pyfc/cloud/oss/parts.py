"""The parts of the object store of one server, and in which order they come and go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from pyfc.auth.keys import Key
from pyfc.cloud.oss.appends import Appends
from pyfc.cloud.oss.asked import Environment
from pyfc.cloud.oss.declared import declare
from pyfc.cloud.oss.store import Store
from pyfc.cloud.oss.temporary import Temporary
from pyfc.cloud.oss.uploads import Uploads
from pyfc.data.version import OSS
from pyfc.outgoing.client import Outgoing
from pyfc.settings import Settings


async def build(
    folder: Path, settings: Settings, stack: AsyncExitStack, declared: Mapping[str, Path], led_by: Callable[[Key], int]
) -> Environment:
    """Open it in a data folder; `stack` closes it. `declared`: folders of the project that are buckets. `led_by`: how
    many calls have led to what the holder of a key does.
    """
    outgoing = Outgoing(settings.allow_outgoing)
    stack.push_async_callback(outgoing.close)
    store = Store(folder / "buckets", folder / OSS)
    stack.push_async_callback(store.close)
    temporary = Temporary(store, settings.account_id, settings.maximum_upload)
    built = Environment(
        store, Uploads(store), Appends(store), temporary, settings.account_id, settings.region, led_by, outgoing
    )
    await store.start()
    await declare(store, declared)
    await built.appends.start()
    await temporary.sweep()
    return built
