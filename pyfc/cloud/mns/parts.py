"""The parts of the message service of one server, and in which order they come and go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from pyfc.auth.keys import Key
from pyfc.cloud.mns.asked import Environment
from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.pusher import Pusher
from pyfc.cloud.mns.signing import Signing
from pyfc.cloud.mns.store import Store
from pyfc.cloud.mns.topics import Topics
from pyfc.data.version import MNS
from pyfc.outgoing.client import Outgoing
from pyfc.settings import Settings


def build(
    folder: Path, settings: Settings, stack: AsyncExitStack, led_by: Callable[[Key], int], endpoint: Callable[[], str]
) -> Environment:
    """Open it in a data folder; `stack` closes it. `led_by`: how many calls have led to what the holder of a key
    does. `endpoint`: the server's own address.
    """
    outgoing = Outgoing(settings.allow_outgoing)
    stack.push_async_callback(outgoing.close)
    account, store = settings.account_id, Store(folder / MNS)
    stack.push_async_callback(store.close)
    messages = Messages(store)
    topics = Topics(store, messages, account)
    stack.push_async_callback(topics.close)
    signing = Signing(folder, endpoint)
    pusher = Pusher(store, topics, outgoing, signing, account)
    stack.push_async_callback(pusher.close)
    pusher.start()
    return Environment(store, messages, topics, account, settings.region, led_by, signing, outgoing)
