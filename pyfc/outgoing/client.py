"""Requests that the server makes for others: callbacks of uploads, messages for destinations. Whoever names the address
is a stranger, so that

1. a name is resolved once, and the address that was looked at is the one that is asked;
2. metadata services, link-local and multicast addresses are never asked, this machine and private nets only where
   `allow_outgoing` names them (model/networks.py);
3. certificates are checked, no redirect is followed, no proxy asked, nothing unpacked;
4. all of it takes 5 s at most, and an answer has 64 KB at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pyfc.errors import NotReached
from pyfc.model.networks import Allowed, allowed, may_be_asked, said_by, why_not
from pyfc.outgoing.interface import Answered, Transport

_SECONDS = 5.0
_SHOWN = 200


class Outgoing:
    """Asks others."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        """`allow`: see the setting allow_outgoing. Raises InvalidArgument."""
        self._rules = [allowed(each) for each in allow]
        self._transport: Transport | None = None

    def check(self, url: str) -> None:
        """Raises NotReached for what can not be asked or, as far as its host says that, must not be."""
        check_url(url)
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = said_by(host)
        if address is not None and not may_be_asked(host, port, address, (), self._rules):
            raise NotReached(url=url[:_SHOWN], reason=why_not(host, port, [address]))

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, reads: bool = True) -> Answered:
        """Send a body; with `reads` the answer has one. Raises NotReached for what was not answered, or must not be
        asked.
        """
        check_url(url)
        try:
            async with asyncio.timeout(_SECONDS):
                if self._transport is None:
                    self._transport = await asyncio.to_thread(_transport, self._rules)
                return await self._transport.post(url, body, headers, reads=reads)
        except TimeoutError:
            raise NotReached(url=url, reason=f"there was no whole answer in {_SECONDS:g} s") from None

    async def close(self) -> None:
        """Give up what is under way."""
        if self._transport is not None:
            await self._transport.close()


def _transport(rules: Sequence[Allowed]) -> Transport:
    from pyfc.outgoing.transport import HttpTransport  # noqa: PLC0415  100 ms that only who asks others should wait for

    return HttpTransport(rules)


def check_url(url: str) -> None:
    """Raises NotReached for what is no address that can be asked."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _no_address(url, str(error)) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise _no_address(url, "it is no address of HTTP")
    if "@" in parts.netloc:
        raise _no_address(url, "it has a user's name in it")
    if not url.isascii() or any(each <= " " or each == "\x7f" for each in url):
        raise _no_address(url, "it has characters that must be encoded")


def _no_address(url: str, reason: str) -> NotReached:
    shown = url if url.isascii() and url.isprintable() else ascii(url)
    return NotReached(url=shown[:_SHOWN], reason=reason)
