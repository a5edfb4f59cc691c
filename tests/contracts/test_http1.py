"""The parser of HTTP/1.1 that the bridge to custom runtimes has, against h11's: whatever is sent, in whatever pieces,
both take the same message for the same thing or both refuse it.

`pytest --fuzz 100000 tests/contracts/test_http1.py` is the long form.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_modules import load

HTTP1, CLIENT, PULL, CALLS, WIRE = load("custom", "http1", "client", "pull", "calls", "wire")
Message = tuple[bytes, list[tuple[bytes, bytes]], bytes, bool] | None
"""Status or method and target; the fields; the body as far as it has come; whether it is whole. None: refused."""

values = st.sampled_from([
    b"0", b"3", b"5", b"5, 5", b"5,6", b"+5", b"-1", b"0x5", b"", b" 5 ", b"1" * 30, b"chunked", b"Chunked", b"gzip",
    b"gzip, chunked", b"identity", b"close", b"keep-alive", b"a\tb", b"a\x0bb", b"a\x00b", b"\xe4", b"a\rb", b"x" * 300,
])  # fmt: skip
names = st.sampled_from([
    b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection", b"X-Own", b"X Own", b"X-Own ", b"",
    b"\xe4",
])  # fmt: skip
fields = st.tuples(
    names, st.sampled_from([b": ", b":", b":\t ", b" "]), values, st.sampled_from([b"\r\n", b"\n", b"\r\n "])
)
status_lines = st.sampled_from([
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No", b"HTTP/1.1 304 Not",
    b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1  200 OK", b"HTTP/2 200", b"http/1.1 200 OK",
    b"HTTP/1.1 200 \xe4",
    b"HTTP/1.1 200 O\x00K", b"", b" HTTP/1.1 200 OK", b"SSH-2.0-x",
])  # fmt: skip
request_lines = st.sampled_from([
    b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"POST / HTTP/1.0", b"GET /", b"GET  / HTTP/1.1", b"G\xe4T / HTTP/1.1",
    b"GET /\xe4 HTTP/1.1", b"GET / HTTP/1.1 ", b"", b"\x16\x03\x01",
])  # fmt: skip
chunks = st.sampled_from([
    b"5\r\nhello\r\n", b"5;a=b\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nX-Own: a\r\n\r\n", b"0\r\nno field\r\n\r\n",
    b"5\nhello\n",
    b"-5\r\nhello\r\n", b"5 \r\nhello\r\n", b"05\r\nhello\r\n", b"g\r\n", b"\r\n", b"4\r\nhello\r\n", b"hello",
    b"+5\r\nhello\r\n",
    b"5_0\r\n", b"0x5\r\nhello\r\n", b"A\r\n0123456789\r\n",
])  # fmt: skip
bodies = st.lists(chunks, max_size=4).map(b"".join) | st.binary(max_size=12)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def whole(first: bytes, lines: list[tuple[bytes, ...]], body: bytes) -> bytes:
    return first + b"\r\n" + b"".join(b"".join(line) for line in lines) + b"\r\n" + body


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    found, at, number = [], 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        found.append(data[at : at + size])
        at, number = at + size, number + 1
    return found


def as_h11_has_it(data: list[bytes], *, answer: bool) -> Message:
    connection = h11.Connection(h11.CLIENT if answer else h11.SERVER, max_incomplete_event_size=HTTP1.MOST_HEAD)
    if answer:
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        connection.send(h11.EndOfMessage())
    events: list[Any] = []
    try:
        for piece in [*data, b""] if answer else data:
            connection.receive_data(piece)
            while not (events and isinstance(events[-1], h11.EndOfMessage)):
                event = connection.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                    break
                events.append(event)
    except h11.RemoteProtocolError as error:
        if "closed connection" not in str(error):
            return None
    return _summed_up(events)


def _summed_up(events: list[Any]) -> Message:
    told: Any = b""
    found: list[tuple[bytes, bytes]] = []
    for event in events:
        if isinstance(event, h11.Response):
            told, found = b"%d" % event.status_code, event.headers.raw_items()
        elif isinstance(event, h11.Request):
            told, found = event.method + b" " + event.target, event.headers.raw_items()
    body = b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data))
    is_whole = any(isinstance(event, h11.EndOfMessage) for event in events)
    return (told, [(name.lower(), value) for name, value in found], body, is_whole)


def as_we_have_it(data: list[bytes], *, answer: bool) -> Message:
    buffer = bytearray()
    head, body, seen = None, None, b""
    try:
        for piece in data:
            buffer += piece
            while head is None or (answer and head.status < 200):
                head = (HTTP1.take_answer if answer else HTTP1.take_request)(buffer)
                if head is None:
                    break
            if head is not None and body is None:
                size = 0 if answer and head.status in (204, 304) else head.size
                size = 0 if not answer and size is None else size
                is_chunked = head.is_chunked and not (answer and head.status in (204, 304))
                body = HTTP1.Body(None if is_chunked else size, is_chunked=is_chunked)
            while body is not None and (taken := body.take(buffer)):
                seen += taken
    except HTTP1.Malformed:
        return None
    if head is None or body is None:
        return (b"", [], b"", False)
    told = b"%d" % head.status if answer else head.first["method"] + b" " + head.first["target"]
    return (
        told,
        [(name.lower(), value) for name, value in head.fields],
        seen,
        body.is_whole or body.ends_with_connection,
    )


def comparable(message: Message) -> Message:
    """Without what is written in several ways: of repeated and joined lengths h11 keeps one."""
    if message is None:
        return None
    told, found, body, is_whole = message
    own = [each for each in found if each[0] not in (b"content-length", b"transfer-encoding")]
    return told, own, body, is_whole


@given(status_lines, st.lists(fields, max_size=4), bodies, cuts)
def test_an_answer_is_what_h11_takes_it_for(
    first: bytes, lines: list[tuple[bytes, ...]], body: bytes, sizes: list[int]
) -> None:
    data = pieces(whole(first, lines, body), sizes)

    assert comparable(as_we_have_it(data, answer=True)) == comparable(as_h11_has_it(data, answer=True))


@given(request_lines, st.lists(fields, max_size=4), bodies, cuts)
def test_a_request_is_what_h11_takes_it_for(
    first: bytes, lines: list[tuple[bytes, ...]], body: bytes, sizes: list[int]
) -> None:
    own = [(b"Host", b": ", b"x", b"\r\n"), *lines]  # h11 wants one of everybody
    data = pieces(whole(first, own, body), sizes)

    assert comparable(as_we_have_it(data, answer=False)) == comparable(as_h11_has_it(data, answer=False))


@given(st.binary(max_size=400), cuts)
def test_any_bytes_are_refused_or_waited_for(data: bytes, sizes: list[int]) -> None:
    for answer in (True, False):
        as_we_have_it(pieces(b"HTTP/1.1 200 OK\r\n" + data, sizes), answer=answer)
        as_we_have_it(pieces(data, sizes), answer=answer)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 70000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 70000,
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\n",
    ],
    ids=["head", "size", "extension", "trailer", "length"],
)
def test_what_grows_without_end_is_refused(data: bytes) -> None:
    assert as_we_have_it(pieces(data, [4096]), answer=True) is None


def test_answers_that_announce_another_are_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"

    assert as_we_have_it([early, b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nhi"], answer=True) == (
        b"201", [(b"content-length", b"2")], b"hi", True,
    )  # fmt: skip


def test_fields_of_one_connection_are_not_passed_on() -> None:
    buffer = bytearray(
        b"HTTP/1.1 200 OK\r\nConnection: X-Mine, close\r\nX-Mine: 1\r\nX-Other: 2\r\nContent-Length: 9\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )

    head = HTTP1.take_answer(buffer)

    assert head.end_to_end() == [(b"X-Other", b"2")]
    assert (head.keeps, head.size, head.is_chunked) == (False, None, True)


def test_no_value_of_ours_begins_another_line() -> None:
    head = CLIENT.request_head("POST", "/invoke", [("x-fc-function-handler", "a\r\nX-Forged: yes\0")])

    assert head == b"POST /invoke HTTP/1.1\r\nX-Fc-Function-Handler: a  X-Forged: yes \r\n\r\n"


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def get_extra_info(self, _name: str, _default: object = None) -> tuple[str, int]:
        return "127.0.0.1", 1

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True


class Bridge:
    """None of its parts is needed."""

    fixed = ()


@given(request_lines, st.lists(fields, max_size=4), bodies, cuts)
def test_the_runtime_api_answers_or_waits_whatever_it_is_sent(
    first: bytes, lines: list[tuple[bytes, ...]], body: bytes, sizes: list[int]
) -> None:
    async def scenario() -> None:
        connection, transport = PULL._Connection(PULL.Pull(Bridge(), lambda: None, lambda _: True)), Transport()
        connection.connection_made(mock_transport(transport))
        for piece in pieces(whole(first, lines, body), sizes):
            if not transport.is_closed:
                connection.data_received(piece)
        for answer in re.split(rb"HTTP/1.1 (?=[1-5][0-9]{2} )", transport.written)[1:]:
            assert answer.startswith((b"400 ", b"404 "))
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["errorMessage"]

    asyncio.run(scenario())


def mock_transport(transport: Transport) -> Any:
    """What asyncio takes for one of its own."""
    kind = type("Own", (Transport, asyncio.Transport), {"__init__": lambda *_: None})
    found = kind()
    found.__dict__ = transport.__dict__
    return found


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LATER = {
    "closes": b"",
    "announces": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "malformed": b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("kind", LATER)
def test_a_kept_connection_that_breaks_is_tried_once_more_and_then_an_error(kind: str) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            try:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.IncompleteReadError:
                break
            writer.write(ANSWER if len(asked) == 1 else LATER[kind])
            if len(asked) > 1:
                break
        writer.close()

    async def scenario() -> list[Any]:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        place = listener.sockets[0].getsockname()[:2]
        bridge = Talking(CLIENT.Upstream(lambda: place))
        for number in (1, 2):
            header = [False, 0, "r", 1, 0, 0, ["GET", "/", "/", "127.0.0.1", []], None]
            CALLS.Call(bridge, number, header, b"").start()
            await asyncio.wait_for(bridge.answered.acquire(), 10)
        listener.close()
        await listener.wait_closed()
        return bridge.faults

    faults = asyncio.run(scenario())

    assert faults[0] is None
    assert faults[1][2] == "InvalidResponse"
    assert len(asked) == (2 if kind in ("cut", "chunks") else 3), "what has begun is not asked for again"


@pytest.mark.parametrize(
    "told",
    [{"status": 10**30}, {"status": "x"}, {"headersMap": {"a": ["x" * 40000]}}, {"headersMap": {"a": 1}}, [], "text"],
)
def test_what_a_program_tells_of_its_answer_is_used_or_refused(told: Any) -> None:
    text = base64.b64encode(json.dumps(told).encode()).decode()

    with pytest.raises((ValueError, TypeError, AttributeError)):
        PULL._told_of_http({"x-fc-http-params": text})

    text = base64.b64encode(b'{"status": 201, "headersMap": {"A": ["b", 7]}}').decode()
    assert PULL._told_of_http({"x-fc-http-params": text}) == (201, [["A", "b"], ["A", "7"]])


class Talking:
    """What calls need of their bridge, with a server that is real."""

    fixed = ()

    def __init__(self, upstream: Any) -> None:
        self.upstream = upstream
        self.faults: list[Any] = []
        self.answered = asyncio.Semaphore(0)

    def send(self, kind: int, _number: int, header: tuple[Any, ...], _payload: bytes = b"") -> None:
        if kind in (WIRE.REPLY, WIRE.END):
            more = kind == WIRE.REPLY and header[0]
            if not more:
                self.faults.append(header[2] if kind == WIRE.REPLY else header[0])

    def done(self, _number: int) -> None:
        self.answered.release()
