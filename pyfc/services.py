"""The stand-ins of the cloud's services of one server, and the sources of events, most of which are in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pyfc.auth.keys import Key
from pyfc.calls.table import version_of
from pyfc.cloud.mns import asked as mns_asked
from pyfc.cloud.mns.pulling import Queues
from pyfc.cloud.oss import asked as oss_asked
from pyfc.cloud.oss import parts as oss_parts
from pyfc.cloud.oss.watching import Watcher
from pyfc.cloud.sls import parts as sls_parts
from pyfc.cloud.sls.function_rows import config_of
from pyfc.cloud.sls.windows import Windows
from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.sources import Sources
from pyfc.model.names import LATEST, Target
from pyfc.model.trigger import Trigger
from pyfc.observe.journal import Journal
from pyfc.settings import Settings
from pyfc.supervisor.supervisor import Supervisor
from pyfc.triggers.eventbridge import EventBridge
from pyfc.triggers.log import LogSource
from pyfc.triggers.mns_topic import MnsTopic
from pyfc.triggers.oss import Oss
from pyfc.triggers.pulling import Brokers
from pyfc.triggers.pushed import TYPES, Pushed
from pyfc.triggers.timer import Timer


class Ground(NamedTuple):
    """What they stand on."""

    folder: Path
    settings: Settings
    stack: AsyncExitStack
    """Closes them."""
    led_by: Callable[[Key], int]
    """How many calls have led to what the holder of a key does."""


class Services(NamedTuple):
    """What others need of them."""

    oss: oss_asked.Environment
    sls: sls_parts.Parts
    mns: mns_asked.Environment
    bus: EventBridge
    sources: Sources


async def build(
    ground: Ground,
    buckets: Mapping[str, Path],
    mns: mns_asked.Environment,
    journal: Journal,
    supervisor: Supervisor,
    dispatcher: Dispatcher,
) -> Services:
    """Open the object store and the log service, and begin to hear of what fires triggers. `buckets`: folders of the
    project, by the names of the buckets that they are. The message service is there already: what calls lead to is
    told there.
    """
    folder, settings, stack, led_by = ground
    sources = Sources(dispatcher)
    sources.add(lambda emit: Timer(emit, settings.timer_misfire))
    oss = await oss_parts.build(folder, settings, stack, buckets, led_by)
    changes, account, region = oss.store.index.outbox, settings.account_id, settings.region
    watcher = Watcher(oss.store)
    stack.push_async_callback(watcher.close)
    sources.add(lambda emit: Oss(emit, changes, oss.store, account, region), watcher.start)
    sls = sls_parts.build(
        folder,
        settings,
        stack,
        sls_parts.Origin(journal, lambda: supervisor.table.services, supervisor.samples, led_by),
    )
    sources.add(
        lambda emit: LogSource(emit, Windows(sls.environment.store), region, partial(_own_logstore, supervisor))
    )
    sources.add(lambda emit: MnsTopic(emit, mns.topics, account))
    queues, brokers = Queues(mns), Brokers(settings.rabbitmq, settings.kafka)
    bus = sources.add(lambda emit: EventBridge(emit, sources, changes, queues, account, region, brokers))
    for kind in TYPES:
        sources.add(partial(Pushed, kind))
    stack.push_async_callback(sources.close)
    return Services(oss, sls, mns, bus, sources)


def _own_logstore(supervisor: Supervisor, trigger: Trigger) -> tuple[str, str] | None:
    """Where the logs of a trigger's function go."""
    table = supervisor.table
    target = version_of(table, Target(trigger.service, trigger.function, trigger.qualifier or LATEST))
    if target is None:
        return None
    config = config_of(table.entries[target].function, table.services.get(trigger.service))
    return (config.project, config.logstore) if config is not None else None
