"""Messages for destinations: an endpoint that hangs holds up nobody for long."""

from __future__ import annotations

import asyncio

import pytest

from pyfc.destinations.webhook import Webhook
from pyfc.errors import InvalidArgument, Unavailable
from pyfc.model.invocation import Trace
from pyfc.outgoing import client
from servers import serving

ADDRESS = "acs:mns:::/queues/q"


def delivered(answer: bytes, *, drips: bool = False, trace: Trace | None = None) -> tuple[BaseException | None, bytes]:
    """What delivering to an endpoint that answers so ended with, and what it was asked."""

    async def scenario() -> tuple[BaseException | None, bytes]:
        async with serving(answer, drips=drips) as (port, asked):
            webhook = Webhook(f"http://127.0.0.1:{port}/base/")
            [error] = await asyncio.gather(webhook(ADDRESS, b"{}", 1, trace), return_exceptions=True)
            await webhook.close()
            return error, b"".join(asked)

    return asyncio.run(scenario())


@pytest.mark.parametrize("status", [200, 204])
def test_what_is_taken_is_delivered_whatever_follows_the_head(status: int) -> None:
    error, asked = delivered(b"HTTP/1.1 %d OK\r\nContent-Length: 1000000\r\n\r\n" % status, drips=True)

    assert error is None
    assert asked.startswith(b"POST /base/queues/q HTTP/1.1\r\n")
    assert b"X-Fc-Destination: acs:mns:::/queues/q\r\n" in asked
    assert asked.endswith(b"{}")


def test_a_trace_goes_on_as_the_headers_that_it_came_with() -> None:
    taken = b"HTTP/1.1 204 No\r\n\r\n"

    _, asked = delivered(taken, trace=("1:2:0:1", {"who": "ad\xe4"}))

    assert b"X-Fc-Tracing-Opentracing-Span-Context: 1:2:0:1\r\n" in asked
    assert b"X-Fc-Tracing-Opentracing-Span-Baggage-who: ad\xe4\r\n" in asked
    assert b"X-Fc-Tracing" not in delivered(taken)[1]


def test_baggage_that_no_header_can_hold_is_quoted() -> None:
    error, asked = delivered(b"HTTP/1.1 204 No\r\n\r\n", trace=("", {"who": "\u738b", "what": "a\r\nb", "none": ""}))

    assert error is None
    assert b"-Baggage-who: %E7%8E%8B\r\n" in asked
    assert b"-Baggage-what: a%0D%0Ab\r\n" in asked
    assert b"-Baggage-none: \r\n" in asked


def test_an_endpoint_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered(b"HTTP/1.1 204 No\r\n\r\n")  # what is needed for it is loaded
    monkeypatch.setattr(client, "_SECONDS", 0.2)

    error, _ = delivered(b"HTTP/1.1 200 OK\r\nX-Drip: ", drips=True)

    assert isinstance(error, Unavailable)
    assert "in 0.2 s" in str(error)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 503 No\r\n\r\n", b"HTTP/1.1 302 F\r\n\r\n"])
def test_what_is_not_taken_is_told(answer: bytes) -> None:
    assert isinstance(delivered(answer)[0], Unavailable)


@pytest.mark.parametrize("endpoint", ["localhost:9000", "ftp://localhost/", "http://user@localhost/", "http://[x/"])
def test_what_can_be_no_endpoint_is_told_at_the_start(endpoint: str) -> None:
    with pytest.raises(InvalidArgument, match="PYFC_DESTINATION_ENDPOINT"):
        Webhook(endpoint)
