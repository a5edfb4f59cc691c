"""What the connections of one server share, among it the heads of requests that have been parsed before.

Clients that keep a connection send the same bytes again and again; the same bytes mean the same request, so a head is
taken apart once. Only plain heads are kept: those of hot calls that arrived in one piece with their body, have a known
length, and keep the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyfc.gateway.exchange import Head
from pyfc.gateway.invocations import Invocations
from pyfc.settings import Settings

if TYPE_CHECKING:
    from pyfc.gateway.connection import Exchange

HEAD_END = b"\r\n\r\n"
MOST_NEW = 16
"""Heads in succession that were all different: a connection that sends such (signed ones are) is looked at no more."""
_MOST = 256
_LARGEST = 4096
"""Bytes of a head."""


class Shared:
    """What all connections of one server share."""

    def __init__(self, settings: Settings, invocations: Invocations) -> None:
        self.settings = settings
        self.invocations = invocations
        self.heads = invocations.heads
        self.date = ""
        """The Date header's line, renewed every second."""
        self.now = 0.0
        """Loop time of the last sweep: precise enough for a client's time-outs."""


def remember(heads: dict[bytes, Head], data: bytes, exchange: Exchange) -> None:
    """Keep the head of `exchange`, which `data` began and completed, if it is a plain one."""
    exchange.protocol.new_heads += 1
    end = data.find(HEAD_END) + len(HEAD_END)
    fields = exchange.fields
    is_alone = b"transfer-encoding" not in fields and len(data) - end == int(fields.get(b"content-length", b"0"))
    if not is_alone or exchange.problem is not None or end > _LARGEST or not exchange.keep_alive or exchange.expects:
        return
    if len(heads) >= _MOST:
        heads.clear()
    heads[data[:end]] = Head(
        len(data), exchange.method, exchange.path, exchange.url, exchange.headers, fields, exchange.sent
    )
