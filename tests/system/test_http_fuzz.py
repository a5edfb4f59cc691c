"""Raw bytes on the HTTP side: each connection is answered or closed, and the next request is served.

`pytest --fuzz 20000 tests/system/test_http_fuzz.py` is the long form.
"""

from __future__ import annotations

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import Server, read_all

PATHS = [
    b"/2016-08-15/services/events/functions/echo/invocations", b"/2016-08-15/proxy/web/echo/x", b"/", b"/healthz",
    b"/2016-08-15/%00%ff", b"*", b"//", b"http://x/y", b"/" + b"a" * 5000,
]  # fmt: skip
METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"get", b"\x16\x03\x01", b"PRI"]
HEADERS = [
    b"Host: localhost", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999",
    b"Content-Length: 5\r\nContent-Length: 6", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Connection: close", b"Connection: upgrade\r\nUpgrade: websocket", b"Expect: 100-continue", b"X-Fc-Log-Type: Tail",
    b"X-Fc-Invocation-Type: Sync", b"Origin: http://evil.example", b" folded", b"No-Colon", b": no-name",
    b"X: \x00\xff", b"Host: evil.example", b"X-Long: " + b"y" * 9000,
]  # fmt: skip
BODIES = [
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"zz\r\n",
    b"ffffffffffffffff\r\n",
    b"5\r\nhel",
    b"\r\n\r\n",
    b"\x00" * 70,
]
requests = st.builds(
    lambda method, path, version, headers, body: (
        method + b" " + path + b" " + version + b"\r\n" + b"".join(each + b"\r\n" for each in headers) + b"\r\n" + body
    ),
    st.sampled_from(METHODS), st.sampled_from(PATHS), st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b""]),
    st.lists(st.sampled_from(HEADERS), max_size=5), st.sampled_from(BODIES),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Requests, some of them cut, changed or doubled."""
    data = bytearray(b"".join(draw(st.lists(requests, min_size=1, max_size=3))))
    for position, value in draw(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3)):
        data[position % len(data)] = value
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@given(mutated())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_bytes_are_answered_or_refused_and_the_server_goes_on(cases: Server, data: bytes) -> None:
    with cases.connect() as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has closed already
        answer = read_all(connection)

    assert not answer or answer.startswith(b"HTTP/1.")
    assert b"Traceback" not in answer
    assert b"500 Internal" not in answer


@pytest.fixture(scope="module", autouse=True)
def _serves_on(cases: Server) -> object:
    yield
    assert cases.invoke("events/echo", b"still there").body == b"still there"
