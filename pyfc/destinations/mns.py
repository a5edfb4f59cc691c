"""Messages for queues and topics of this server's message service, where they are there; all others go elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from pyfc.model.invocation import Trace

_PARTS = 5
"""Of an ARN."""


class Inbox(Protocol):
    """The message service, as far as destinations need it."""

    async def take(self, kind: str, name: str, body: str, depth: int, trace: Trace | None) -> bool:
        """Whether a queue or topic is there and has the message now. `kind`: queues or topics. `depth`: how many calls
        have led to it; `trace`: theirs. Raises PyfcError.
        """


class MessageService:
    """Delivers to an inbox, and by `elsewhere` what is not for it."""

    def __init__(self, inbox: Inbox, elsewhere: Callable[[str, bytes, int, Trace | None], Awaitable[None]]) -> None:
        self._inbox = inbox
        self._elsewhere = elsewhere

    async def __call__(self, address: str, message: bytes, depth: int, trace: Trace | None) -> None:
        """Deliver. Raises PyfcError if it was not taken."""
        kind, name = named(address)
        if not name or not await self._inbox.take(kind, name, message.decode("utf-8", "replace"), depth, trace):
            await self._elsewhere(address, message, depth, trace)


def named(address: str) -> tuple[str, str]:
    """The kind and the name in acs:mns:REGION:ACCOUNT:/queues/NAME/messages, or of topics; '' in anything else."""
    parts = address.split(":", _PARTS - 1)
    if len(parts) < _PARTS or parts[:2] != ["acs", "mns"]:
        return "", ""
    kind, _, name = parts[-1].removeprefix("/").partition("/")
    return (kind, name.removesuffix("/messages")) if kind in {"queues", "topics"} else ("", "")
