"""Raw bytes on the HTTP side, on every kind of route: each connection is answered or closed in time, nothing is a 500,
no connection and no descriptor is left, and the next request is served.

`pytest --fuzz 20000 tests/system/test_http_fuzz.py` is the long form.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyfc.auth.keys import Keys
from pyfc.gateway.application import APIS
from support import DEADLINE, Server, template, wait_until

CODE = """
def event(event, context):
    return event


def web(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body]
"""
EVENT = {"Handler": "index.event"}
SERVED = {
    "echo": EVENT,
    "web": {"Handler": "index.web", "http": ["GET", "POST", "PUT", "HEAD"]},
    "closed": {"Handler": "index.web", "http": ["GET", "POST", "PUT", "HEAD"]},
}
IN_TIME = 6.0
"""Seconds for which a connection may be open, with the time limits of the servers below."""
CALL = b"/2016-08-15/services/demo/functions/echo/invocations"
NEWER = b"/2023-03-30/functions/demo$echo/invocations"
ROUTES = [
    CALL,
    b"/2016-08-15/services/demo.LATEST/functions/echo/invocations?x=1",
    NEWER,
    NEWER + b"?qualifier=LATEST",
    b"/2016-08-15/proxy/demo/web/some/path?x=1",
    b"/2016-08-15/proxy/demo/closed/some/path?x=1",
    b"/2016-08-15/proxy/demo/closed/?x-fc-signature=%ff&x-fc-expires=1&x-fc-access-key-id=KEY",
    b"/2016-08-15/proxy/",
    b"/2016-08-15/services",
    b"/2016-08-15/services/demo/functions/echo",
    b"/2021-04-06/services/demo/functions/echo/async-invoke-config",
    b"/2023-03-30/functions",
    b"/2023-03-30/functions/echo/instances/i/exec",
    b"/pyfc/functions",
    b"/pyfc/logs/demo/echo?offset=1",
    b"/pyfc/code/demo/echo/LATEST?x-fc-signature=%ff&x-fc-expires=1&x-fc-access-key-id=KEY",
    b"/fc-temp/name",
    b"/healthz",
    b"/",
    b"/nowhere",
]
HOSTS = [b"127.0.0.1", b"localhost:1", b"[::1]:1", b"[::1", b"web.demo.localhost", b"example.com", b"", b"\xff", b"a b"]
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"get", b"PRI", b"\x16\x03\x01"]
DATE = b"DATE"
BAD_DATES = [
    b"",
    b"Mon, 23 Nov " + b"9" * 40 + b" 14:08:42 GMT",
    b"Mon, 99 Nov 2026 99:99:99 GMT",
    b"Mon, 23 Nov 0001 00:00:00 +9999",
    b"Fri, 31 Dec 9999 23:59:59 -2359",
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-23:59",
    b"9" * 40 + b"-01-01T00:00:00Z",
    b"\xb2\xb2\xb2\xb2-01-01T00:00:00Z",
    b"T",
    b"\xff" * 30,
    b"0" * 5000,
    b"1" * 5000,
]
SIGNATURES = [
    b"FC KEY:\xe9\xff",
    b"FC KEY:" + b"A" * 44,
    b"FC KEY:",
    b"FC :",
    b"FC",
    b"FC \xff:\xff",
    b"fc KEY:x",
    b"Basic x",
    b"ACS3-HMAC-SHA256 Credential=KEY,SignedHeaders=x-acs-date;x-acs-content-sha256,Signature=\xe9",
    b"ACS3-HMAC-SHA256 Credential=KEY,SignedHeaders=,Signature=",
    b"ACS3-HMAC-SHA256",
    b"ACS3-HMAC-SHA256 ,,,===",
]
VALUES = [
    *(b"Authorization: FC KEY:x\r\nDate: " + date for date in BAD_DATES),
    *(b"Authorization: FC KEY:x\r\nX-Fc-Date: " + date for date in BAD_DATES),
    *(b"Authorization: ACS3-HMAC-SHA256 Credential=KEY\r\nx-acs-date: " + date for date in BAD_DATES),
    *(b"Authorization: " + value + b"\r\nDate: DATE\r\nx-acs-date: DATE" for value in SIGNATURES),
    b"Authorization: FC KEY:x\r\nDate: DATE\r\nX-Fc-Security-Token: \xff",
    b"Authorization: FC KEY:x\r\nDate: DATE\r\nContent-MD5: \xff",
    b"Content-MD5: " + b"A" * 22 + b"==",
    b"X-Fc-Log-Type: \xff",
    b"X-Fc-Invocation-Type: Async\r\nX-Fc-Async-Delay: 1e999",
    b"X-Fc-Invocation-Type: Async\r\nX-Fc-Async-Delay: nan",
    b"X-Fc-Invocation-Type: Async\r\nX-Fc-Stateful-Async-Invocation-Id: \xff",
    b"X-Fc-Invocation-Type: \xff",
    b"X-Fc-Tracing-Opentracing-Span-Context: \xff\r\nX-Fc-Tracing-Opentracing-Span-Baggage-\xff: x",
    b"Origin: \xff",
    b"Origin: http://evil.example\r\nAccess-Control-Request-Method: \xff",
    b"Sec-Fetch-Site: \xff",
    b"Range: bytes=\xff",
    b"If-Match: \xff",
    b"Cookie: \x80",
    b"Expect: 100-continue",
    b"Expect: \xff",
    b"Connection: upgrade\r\nUpgrade: websocket",
    b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \xff",
    b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"X-Long: " + b"y" * 9000,
    b"X-Long: " + b"y" * 70_000,
    *(b"X-%d: y" % number for number in (1, 2)),
    b" folded",
    b"No-Colon",
    b": no-name",
    b"X: \x00\xff",
]
FRAMINGS = [
    b"Content-Length: 0\r\n\r\n",
    b"Content-Length: 5\r\n\r\nhello",
    b"Content-Length: 5\r\n\r\nhel",
    b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"Content-Length: 5, 5\r\n\r\nhello",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: \xb2\r\n\r\n",
    b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    b"Content-Length: " + b"0" * 5000 + b"5\r\n\r\nhello",
    b"Content-Length: 99999999999999999\r\n\r\n",
    b"Content-Length: 33554433\r\n\r\n",
    b"Content-Length: 3000000\r\n\r\n" + b"x" * 70_000,
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5;" + b"e" * 70_000 + b"\r\nhello\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: \xff\r\n\r\n",
    b"",
    b"\r\n",
    b"\r\n\x00\x00\x00",
]
TARGETS = [
    b"*",
    b"//",
    b"//x:y@z:99999/",
    b"http://x/y",
    b"/\xc3\xa9",
    b"/%00%ff%",
    b"/" + b"a" * 70_000,
    b"/?" + b"a" * 70_000,
    b"/" + b"\xff" * 30_000,
    b"/#x",
    b"/?#",
    b"/\x7f",
    b"/2016-08-15/proxy/demo/web/" + b"a" * 5000,
    b"/2016-08-15/proxy/demo/web/%80\xff?%80=\xff",
    b"/2016-08-15/proxy/%ff/%ff/",
    b"/2016-08-15/services/%ff/functions/%ff/invocations",
    b"/2016-08-15/services/%00/functions/\xff/invocations",
    b"/2023-03-30/functions/%ff/invocations?qualifier=%ff&qualifier",
    b"/pyfc/logs/demo/echo?offset=%C2%B2&lines=%C2%B2",
    b"/pyfc/logs/demo/echo?offset=" + b"9" * 5000,
    b"/pyfc/events?after=" + b"9" * 5000,
    b"/pyfc/code/demo/echo/LATEST?x-fc-signature=x&x-fc-expires=%C2%B2&x-fc-access-key-id=KEY",
    b"/2016-08-15/proxy/demo/closed/?x-fc-signature=x&x-fc-expires=" + b"9" * 5000 + b"&x-fc-access-key-id=KEY",
]


def request(target: bytes, rest: bytes, method: bytes = b"POST", host: bytes = b"127.0.0.1") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + rest


def forms(route: bytes) -> list[bytes]:
    """What is sent to each route."""
    whole = b"\r\nContent-Length: 0\r\n\r\n"
    return [
        *(request(route, value + whole) for value in VALUES),
        *(request(route, framing) for framing in FRAMINGS),
        *(request(route, whole[2:], method) for method in METHODS),
        *(request(route, whole[2:], host=host) for host in HOSTS),
        b"POST " + route + b" HTTP/1.0\r\n\r\n",
        b"POST " + route + b" HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST " + route + b"\r\n\r\n",
        b"POST " + route,
        b"",
    ]


@pytest.fixture(scope="module", params=["local", "signed"])
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with short time limits: on loopback, and one whose calls all need a signature."""
    scratch: Path = tmp_path_factory.mktemp("edge")
    project = scratch / "project"
    project.mkdir()
    declared = json.loads(template(SERVED))
    closed = declared["Resources"]["demo"]["closed"]["Events"]["web"]["Properties"]
    closed["AuthType"] = "FUNCTION"
    (project / "template.yml").write_text(json.dumps(declared))
    (project / "index.py").write_text(CODE)
    limits = {f"PYFC_{name}_TIMEOUT": "1" for name in ("HEADER", "BODY", "KEEP_ALIVE")}
    host = () if request.param == "local" else ("--host", "0.0.0.0")
    server = Server(project, scratch / "data", *host, PYFC_MAXIMUM_INSTANCE_COUNT="1", **limits)
    yield server
    status, errors = server.stop()
    assert status == 0
    assert not errors


def exchanged(server: Server, requests: Sequence[bytes]) -> list[bytes]:
    """What the server answers to each of these, on a connection of its own, until it closes that. Fails if one is open
    for longer than it may.
    """
    key = Keys(server.data_dir).first()[0].id.encode()
    date = formatdate(usegmt=True).encode()
    answers = {}
    with selectors.DefaultSelector() as selector:
        for number, data in enumerate(requests):
            connection = server.connect()
            connection.setblocking(False)
            left = data.replace(b"KEY", key).replace(DATE, date)
            selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, [number, left])
            answers[number] = b""
        end = time.monotonic() + IN_TIME + DEADLINE
        while selector.get_map():
            late = [requests[each.data[0]][:200] for each in selector.get_map().values()]
            assert time.monotonic() < end, f"neither answered nor closed: {late}"
            for each, _ in selector.select(1.0):
                if not _go_on(each, answers):
                    selector.unregister(each.fileobj)
                    each.fileobj.close()
                elif not each.data[1]:
                    selector.modify(each.fileobj, selectors.EVENT_READ, each.data)
    return [answers[number] for number in range(len(requests))]


def _go_on(key: selectors.SelectorKey, answers: dict[int, bytes]) -> bool:
    """Send and receive what is possible; False at the end of the connection."""
    connection, (number, left) = key.fileobj, key.data
    assert isinstance(connection, socket.socket)
    try:
        if left:
            key.data[1] = left[connection.send(left[:65536]) :]
    except BlockingIOError:
        pass
    except OSError:
        key.data[1] = b""  # it has been refused; the answer may be there
    try:
        data = connection.recv(65536)
    except BlockingIOError:
        return True
    except OSError:
        return False
    answers[number] += data
    return bool(data)


def check(server: Server, requests: Sequence[bytes]) -> None:
    """Each is answered or closed in time, and leaves nothing."""
    process = psutil.Process(server.process.pid)
    for each, answer in zip(requests, exchanged(server, requests), strict=True):
        assert not answer or answer.startswith(b"HTTP/1."), (each[:300], answer[:300])
        assert not re.search(rb"HTTP/1\.1 (500|501|503) |Traceback", answer), (each[:300], answer[:600])
    wait_until(
        lambda: not [each for each in process.net_connections("tcp") if each.status != psutil.CONN_LISTEN],
        "the end of every connection",
    )


@pytest.mark.long
def test_every_form_on_every_route_is_answered_or_closed_in_time(edge: Server) -> None:
    process = psutil.Process(edge.process.pid)
    assert len(forms(b"/")) >= 90
    check(
        edge, [form for route in (ROUTES[0], *ROUTES[4:6]) for form in forms(route)]
    )  # now everything is started that they need
    for path in ("metrics", "calls"):  # so are the files and the process that these are in
        assert edge.manage("GET", f"/pyfc/{path}").status == 200
    before = process.num_fds()

    for start in range(0, len(ROUTES), 5):
        check(edge, [form for route in ROUTES[start : start + 5] for form in forms(route)])
    check(edge, [request(target, b"\r\n", method) for target in TARGETS for method in (b"GET", b"POST", b"PUT")])

    wait_until(lambda: process.num_fds() <= before, "as few descriptors as before")
    assert edge.request("GET", "/healthz").status == 200


HOSTILE = [b"%00", b"%FF", b"..", b"%ED%A0%80", b"9" * 30, b"x" * 300]
QUERIES = [b"limit=%00&startKey=%00&prefix=%FF", b"limit=" + b"9" * 5000, b"nextToken=%FF&startVersion=%C2%B2", b"x"]
DOCUMENTS = [
    b"null",
    b"\xff",
    b"[" * 100_000,
    b'{"description":"\\ud800","code":1}',
    b'{"routePolicy":"x","triggerConfig":[]}',
]


@pytest.mark.parametrize("prefix", APIS)
def test_every_endpoint_of_the_api_answers_whatever_it_is_sent(serve: Callable[..., Server], prefix: str) -> None:
    """The time limits are those of every day, since a server is busy for some time with so many at once."""
    server = serve({"index.py": CODE, "template.yml": template(SERVED)}, "--auth", "off")
    sent = []
    for number, endpoint in enumerate(APIS[prefix]):
        names = [b"demo", *HOSTILE]
        for at, name in enumerate([names[0], names[1 + number % len(HOSTILE)]]):
            path = re.sub(rb"\{[^}]*\}", name, (prefix + endpoint.path).encode())
            query = b"?" + QUERIES[(number + at) % len(QUERIES)]
            body = DOCUMENTS[(number + at) % len(DOCUMENTS)] if endpoint.method in {"POST", "PUT"} else b""
            framing = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            sent.append(request(path + query, framing, endpoint.method.encode()))
    for start in range(0, len(sent), 50):
        check(server, sent[start : start + 50])


fields = st.one_of(
    st.sampled_from(VALUES),
    st.builds(
        lambda name, value: name + b": " + re.sub(rb"[\r\n\x00]", b"", value),
        st.sampled_from([
            b"Authorization", b"Date", b"X-Fc-Date", b"x-acs-date", b"x-acs-content-sha256", b"Content-MD5", b"Host",
            b"X-Fc-Invocation-Type", b"X-Fc-Log-Type", b"X-Fc-Async-Delay", b"X-Fc-Stateful-Async-Invocation-Id",
            b"X-Fc-Tracing-Opentracing-Span-Context", b"X-Fc-Security-Token", b"Origin", b"Sec-Fetch-Site", b"If-Match",
            b"Expect", b"Connection", b"Upgrade", b"Content-Type", b"Content-Length", b"Transfer-Encoding", b"Range",
            b"Access-Control-Request-Method",
        ]),
        st.one_of(st.binary(max_size=60), st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace"))),
    ),
)  # fmt: skip
targets = st.one_of(
    st.sampled_from([*ROUTES, *TARGETS]),
    st.builds(lambda route, more: route + b"?" + more, st.sampled_from(ROUTES), st.binary(max_size=60)),
    st.builds(lambda route, more: route + b"/" + more, st.sampled_from(ROUTES), st.binary(max_size=60)),
)
raw_requests = st.builds(
    lambda method, target, version, host, headers, framing: (
        b"%s %s %s\r\nHost: %s\r\n" % (method, target, version, host)
        + b"".join(each + b"\r\n" for each in headers)
        + framing
    ),
    st.sampled_from(METHODS), targets, st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b""]),
    st.sampled_from(HOSTS), st.lists(fields, max_size=5), st.sampled_from(FRAMINGS),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Requests, some of them cut, changed or doubled."""
    data = bytearray(b"".join(draw(st.lists(raw_requests, min_size=1, max_size=3))))
    for position, value in draw(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=3)):
        data[position % len(data)] = value
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@given(st.lists(mutated(), min_size=1, max_size=40))
@settings(
    max_examples=max(5, settings().max_examples // 20),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_bytes_are_answered_or_refused_and_the_server_goes_on(edge: Server, requests: list[bytes]) -> None:
    check(edge, requests)
