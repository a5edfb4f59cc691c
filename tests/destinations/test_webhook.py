"""Messages for destinations: an endpoint that hangs holds up nobody for long."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from typing import Any

import pytest

from pyfc.destinations import webhook
from pyfc.destinations.webhook import Webhook
from pyfc.errors import Unavailable

ADDRESS = "acs:mns:::/queues/q"


def played(answer: bytes, *, drips: bool = False, most: float = 30.0) -> list[BaseException | None]:
    """What delivering to an endpoint that answers so ended with, by itself and when it is cancelled."""

    handlers: set[Any] = set()

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            writer.write(answer)
            while drips:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def scenario() -> list[BaseException | None]:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        deliver = Webhook(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        found = await asyncio.gather(deliver(ADDRESS, b"{}"), return_exceptions=True)
        cancelled = asyncio.get_running_loop().create_task(deliver(ADDRESS, b"{}"))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers)
        return found

    began = time.monotonic()
    found = asyncio.run(scenario())
    end = time.monotonic() + 10
    while any(each.name.startswith("pyfc-destination") and is_busy(each) for each in threading.enumerate()):
        assert time.monotonic() < end, "a thread goes on"
    assert time.monotonic() - began < most
    return found


def is_busy(thread: threading.Thread) -> bool:
    """Whether a thread of the pool is in the middle of a message."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "_post":
            return True
        frame = frame.f_back
    return False


@pytest.mark.parametrize("status", [200, 204])
def test_what_is_taken_is_delivered_whatever_follows_the_head(status: int) -> None:
    assert played(b"HTTP/1.1 %d OK\r\nContent-Length: 1000000\r\n\r\n" % status, drips=True) == [None]


def test_an_endpoint_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_LONGEST", 0.2)

    [error] = played(b"HTTP/1.1 200 OK\r\nX-Drip: ", drips=True)

    assert isinstance(error, Unavailable)
    assert "in 0.2 s" in str(error)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 503 No\r\n\r\n", b"HTTP/1.1 302 F\r\n\r\n"])
def test_what_is_not_taken_is_told(answer: bytes) -> None:
    [error] = played(answer)

    assert isinstance(error, Unavailable)
