"""The edge under strange, slow and hostile clients."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import socket
import time
from collections.abc import Callable

import psutil
import pytest

from pyfc.auth.keys import Keys
from support import Server, read_all, send_raw, wait_until

INVOKE = b"POST /2016-08-15/services/events/functions/%s/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def post(function: bytes, body: bytes, extra: bytes = b"") -> bytes:
    return INVOKE % function + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


def bodies(raw: bytes) -> list[bytes]:
    """The bodies of responses that have a Content-Length, in order."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        found.append(rest[:length])
        raw = rest[length:]
    return found


def test_pipelined_requests_are_answered_in_order_whatever_they_take(cases: Server) -> None:
    data = (
        post(b"sleeps", b"0.3")
        + post(b"echo", b"second")
        + b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        + post(b"echo", b"fourth")
        + b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        + post(b"echo", b"last", b"Connection: close\r\n")
    )

    health = b'{"status": "ok"}\n'
    assert bodies(send_raw(cases, data)) == [b"slept", b"second", health, b"fourth", health, b"last"]


def test_a_request_may_arrive_byte_by_byte(cases: Server) -> None:
    data = post(b"echo", b"slowly", b"Connection: close\r\n")
    with cases.connect() as connection:
        for number in range(len(data)):
            connection.sendall(data[number : number + 1])

        assert bodies(read_all(connection)) == [b"slowly"]


def test_chunked_bodies_are_joined_and_their_trailers_are_not_headers(cases: Server) -> None:
    data = (
        INVOKE % b"echo" + b"Connection: close\r\nTransfer-Encoding: chunked\r\nTrailer: Host\r\n\r\n"
        b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nHost: evil.example\r\n\r\n"
    )

    assert bodies(send_raw(cases, data)) == [b"abcdefg"]


def test_a_client_that_expects_100_continue_gets_it_before_the_body(cases: Server) -> None:
    with cases.connect() as connection:
        connection.sendall(INVOKE % b"echo" + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")

        assert bodies(read_all(connection)) == [b"abc"]


def test_a_client_that_expects_100_continue_for_too_much_is_refused_instead(cases: Server) -> None:
    raw = send_raw(cases, INVOKE % b"echo" + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")

    assert raw.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"EntityTooLarge" in raw


def test_a_connection_is_kept_for_the_next_request_and_closed_when_asked(cases: Server) -> None:
    with cases.connect() as connection:
        for word in (b"one", b"two", b"three"):
            connection.sendall(post(b"echo", word))
            raw = b""
            while not raw.endswith(word):
                raw += connection.recv(65536)
        connection.sendall(post(b"echo", b"four", b"Connection: close\r\n"))

        raw = read_all(connection)
    assert raw.endswith(b"four")
    assert b"Connection: close\r\n" in raw


def test_an_http_1_0_client_is_answered_and_its_connection_closed(cases: Server) -> None:
    data = post(b"echo", b"old").replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Host: 127.0.0.1\r\n", b"")

    assert bodies(send_raw(cases, data)) == [b"old"]


SMUGGLED = [
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: +3\r\n\r\nabc",
    b"Content-Length: 3, 3\r\n\r\nabc",
    b"Content-Length: 0x3\r\n\r\nabc",
    b"Content-Length: -1\r\n\r\n",
    b"Host: other\r\nContent-Length: 3\r\n\r\nabc",
    b"X: a\r\n folded\r\nContent-Length: 3\r\n\r\nabc",
    b"X: a\rb\r\nContent-Length: 3\r\n\r\nabc",
    b"X: a\0b\r\nContent-Length: 3\r\n\r\nabc",
    b"X\r\nContent-Length: 3\r\n\r\nabc",
    b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
]


@pytest.mark.parametrize("rest", SMUGGLED)
def test_requests_that_could_mean_two_things_are_refused_and_the_connection_ends(cases: Server, rest: bytes) -> None:
    raw = send_raw(cases, INVOKE % b"echo" + rest + post(b"echo", b"smuggled"))

    assert raw.startswith(b"HTTP/1.1 400 ")
    assert b"smuggled" not in raw
    assert raw.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"POST /2016-08-15/services/events/functions/echo/invocations HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET ftp://127.0.0.1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http:///healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_for_this_server_is_a_400(cases: Server, data: bytes) -> None:
    assert send_raw(cases, data, shut=True).startswith(b"HTTP/1.1 400 ")


def test_a_target_with_the_whole_address_means_its_host_and_path(cases: Server) -> None:
    for target, status in (
        (b"http://127.0.0.1/healthz", 200), (b"HTTP://LOCALHOST:1?x", 200), (b"http://evil.example/healthz", 403),
    ):  # fmt: skip
        request = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % target
        assert send_raw(cases, request, shut=True).startswith(b"HTTP/1.1 %d " % status), target


def test_garbage_after_a_good_request_does_not_spoil_its_answer(cases: Server) -> None:
    raw = send_raw(cases, post(b"sleeps", b"0.2") + b"\0garbage\r\n\r\n")

    assert bodies(raw) == [b"slept"]


def test_an_upgrade_that_is_not_offered_is_answered_as_the_plain_request_it_is(cases: Server) -> None:
    raw = send_raw(
        cases,
        b"GET /2016-08-15/proxy/web/writes/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    )

    assert bodies(raw) == [b"written returned"]


def test_huge_headers_are_refused(cases: Server) -> None:
    one = send_raw(cases, INVOKE % b"echo" + b"X: " + b"a" * 70_000 + b"\r\n\r\n")
    endless = send_raw(cases, INVOKE % b"echo" + b"X: " + b"a" * 200_000)

    for raw in (one, endless):
        assert raw.startswith(b"HTTP/1.1 400 ") or raw == b""
    assert cases.invoke("events/echo", b"x").body == b"x"


def test_slow_and_silent_clients_are_closed(serve: Callable[..., Server]) -> None:
    server = serve(
        {"echo.py": "def handler(event, context):\n    return event\n"},
        PYFC_HEADER_TIMEOUT="1", PYFC_BODY_TIMEOUT="1", PYFC_KEEP_ALIVE_TIMEOUT="1",
    )  # fmt: skip
    silent, slow_head, slow_body = (server.connect() for _ in range(3))
    with silent, slow_head, slow_body:
        slow_body.sendall(
            b"POST /2016-08-15/services/default/functions/echo/invocations HTTP/1.1\r\nHost: localhost\r\n"
        )
        slow_body.sendall(b"Content-Length: 10\r\n\r\nabc")
        slow_head.settimeout(0.2)
        end = time.monotonic() + 10
        ended = False
        while not ended and time.monotonic() < end:  # a byte now and then must not keep the connection open
            try:
                slow_head.sendall(b"G")
                ended = slow_head.recv(100) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True

        assert ended
        assert silent.recv(100) == b""
        assert slow_body.recv(100) == b""
    assert server.invoke("default/echo", b"x").body == b"x"


def test_a_body_that_comes_in_drops_and_an_answer_that_nobody_reads_hold_no_connection(
    serve: Callable[..., Server],
) -> None:
    server = serve(
        {"big.py": "def handler(event, context):\n    return b'x' * 30_000_000\n"},
        PYFC_BODY_TIMEOUT="1", PYFC_KEEP_ALIVE_TIMEOUT="2",
    )  # fmt: skip
    head = b"POST /2016-08-15/services/default/functions/big/invocations HTTP/1.1\r\nHost: localhost\r\n"
    drops, deaf = server.connect(), server.connect()
    with drops, deaf:
        deaf.sendall(head + b"Content-Length: 0\r\n\r\n")
        drops.sendall(head + b"Content-Length: 1000\r\n\r\n")
        drops.settimeout(0.2)

        wait_until(lambda: has_ended(drops), "the end of a connection whose body comes in drops")
        process = psutil.Process(server.process.pid)
        wait_until(
            lambda: deaf.getsockname() not in {each.raddr for each in process.net_connections("tcp")},
            "the end of a connection that nobody reads",
        )


def has_ended(connection: socket.socket) -> bool:
    """Send a byte; whether the other side has closed."""
    try:
        connection.sendall(b"x")
        return connection.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_what_is_wrong_in_the_body_of_a_request_to_the_api_is_a_400(cases: Server) -> None:
    head = b"POST /2016-08-15/services HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    with cases.connect() as connection:
        connection.sendall(head)
        connection.sendall(b"zz\r\n")

        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("length", [b"9" * 5000, b"0" * 5000 + b"5"])
def test_a_length_of_thousands_of_digits_is_a_400(cases: Server, length: bytes) -> None:
    for path in (b"/2016-08-15/services/events/functions/echo/invocations", b"/2016-08-15/services"):
        raw = send_raw(cases, b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\nhello" % (path, length))

        assert raw.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("path", [b"/", b"/2016-08-15/services/", b"/2016-08-15/proxy/web/writes/"])
def test_a_target_of_70000_bytes_is_a_400(cases: Server, path: bytes) -> None:
    raw = send_raw(cases, b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % (path + b"a" * 70_000))

    assert raw.startswith(b"HTTP/1.1 400 ")


def test_addresses_with_raw_utf8_are_taken_as_if_percent_encoded(cases: Server) -> None:
    end = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    raw = "/caf\u00e9/%20?q=\u65e5".encode()
    encoded = b"/caf%C3%A9/%20?q=%E6%97%A5"
    for prefix in (b"/2016-08-15/proxy/web/environ", b"/nowhere", b"/2016-08-15/services"):
        answers = [send_raw(cases, b"GET " + prefix + path + end) for path in (raw, encoded)]

        assert answers[0].partition(b" ")[2][:3] == answers[1].partition(b" ")[2][:3] != b"500"
    seen = json.loads(bodies(send_raw(cases, b"GET /2016-08-15/proxy/web/environ" + raw + end))[0])
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/caf\u00e9/ "
    assert seen["QUERY_STRING"] == "q=%E6%97%A5"
    whole = b"POST /2016-08-15/proxy/web/environ" + raw + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    whole += b"Content-Length: 4\r\n\r\n\xc3\xa9\n\xff"
    with cases.connect() as connection:
        for number in range(len(whole)):
            connection.sendall(whole[number : number + 1])
        seen = json.loads(bodies(read_all(connection))[0])
    assert (seen["QUERY_STRING"], seen["body"]) == ("q=%E6%97%A5", "\u00c3\u00a9\n\u00ff")
    missing = send_raw(cases, "POST /2016-08-15/services/events/functions/\u00e9/invocations".encode() + end)
    assert b"function '\\u00e9' does not exist" in missing


def test_a_client_that_leaves_lets_the_call_run_to_its_end_and_the_log_says_499(cases: Server) -> None:
    before = len(cases.records)

    def ended() -> list[dict[str, object]]:
        return [each for each in cases.records[before:] if each.get("function") == "sleeps"]

    def is_called() -> bool:
        (own,) = [each for each in cases.functions() if each["function"] == "sleeps"]
        return "ready" in own["instances"]

    with cases.connect() as connection:
        connection.sendall(post(b"sleeps", b"2"))
        wait_until(is_called, "that it is called")

    [record] = wait_until(ended, "its end")
    assert record["status"] == 499
    assert record["durationMs"] >= 2000


def test_half_open_connections_leave_no_descriptor_behind(cases: Server) -> None:
    process = psutil.Process(cases.process.pid)
    cases.invoke("events/echo")
    before = process.num_fds()
    for _ in range(50):
        with cases.connect() as connection:
            connection.sendall(INVOKE % b"echo" + b"Content-Length: 10\r\n\r\nabc")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    wait_until(lambda: process.num_fds() <= before, "the descriptors of connections that were reset")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "127.9.9.9"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Host": "127.0.0.1:5", "Origin": "http://127.0.0.1:5"}, 200),
    ],
)
def test_pages_of_other_sites_and_unknown_hosts_reach_nothing_but_http_triggers(
    cases: Server, headers: dict[str, str], status: int
) -> None:
    invoked = cases.request("POST", "/2016-08-15/services/events/functions/echo/invocations", b"x", headers)
    index = cases.request("GET", "/", None, headers)
    triggered = cases.request("GET", "/2016-08-15/proxy/web/writes/", None, headers)

    assert (invoked.status, index.status, triggered.status) == (status, status, 200)
    if status == 403:
        assert invoked.json["ErrorCode"] == index.json["ErrorCode"] == "AccessDenied"


def test_a_host_that_was_allowed_is_known(serve: Callable[..., Server]) -> None:
    server = serve({}, "--allow-host", "dev.example")

    assert server.request("GET", "/", None, {"Host": "dev.example:8000"}).status == 200
    assert server.request("GET", "/", None, {"Host": "other.example"}).status == 403


def test_the_index_lists_the_functions_and_where_to_call_them(cases: Server) -> None:
    functions = {f"{each['service']}/{each['function']}": each for each in cases.functions()}

    assert functions["events/echo"]["url"] == "/2016-08-15/services/events/functions/echo/invocations"
    assert functions["web/environ"]["url"] == "/2016-08-15/proxy/web/environ/"
    assert functions["web/environ"]["triggers"] == ["http"]
    assert not functions["other/java"]["served"]
    assert cases.request("HEAD", "/healthz").body == b""
    assert cases.request("POST", "/").status == 400


def answer(connection: socket.socket) -> bytes:
    """The body of the next response."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.read()


def test_requests_with_the_same_head_are_told_apart_by_their_bodies(cases: Server) -> None:
    last = post(b"echo", b"three", b"Connection: close\r\n")

    with cases.connect() as connection:
        for body in (b"first", b"again", b"\r\n\r\nx"):
            connection.sendall(post(b"echo", body))
            assert answer(connection) == body
        whole = post(b"echo", b"parts")
        connection.sendall(whole[:-3])
        connection.sendall(whole[-3:])
        assert answer(connection) == b"parts"
        connection.sendall(post(b"echo", b"one..") + post(b"echo", b"two..") + last)
        assert bodies(read_all(connection)) == [b"one..", b"two..", b"three"]


def test_a_connection_whose_heads_all_differ_is_served_all_the_same(cases: Server) -> None:
    with cases.connect() as connection:
        for number in range(60):
            connection.sendall(post(b"echo", b"%d" % number, b"X-Number: %d\r\n" % (number % 40)))
            assert answer(connection) == b"%d" % number


MD5 = b"Content-MD5: %s\r\nConnection: close\r\n"


@pytest.mark.parametrize("size", [5, 100_000, 3_000_000])
def test_a_body_that_is_not_the_one_of_its_digest_is_refused(cases: Server, size: int) -> None:
    body = b"x" * size
    right = base64.b64encode(hashlib.md5(body).digest())
    paths = [b"/2016-08-15/services/events/functions/echo/invocations", b"/2016-08-15/proxy/web/environ/"]
    for path in paths:
        for sent, status in ((body, b"200"), (b"y" + body[1:], b"400")):
            head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % (path, size)
            raw = send_raw(cases, head + MD5 % right + b"\r\n" + sent)

            assert raw.startswith(b"HTTP/1.1 " + status)
            assert (b"Content-MD5" in raw) == (status == b"400")


def test_the_api_compares_bodies_with_their_digests_too(cases: Server) -> None:
    path, body = "/2016-08-15/services", b'{"serviceName": "digest"}'
    wrong = {"Content-MD5": hashlib.md5(b"another").hexdigest()}
    answer = cases.request("POST", path, body, cases.signed_headers("POST", path, wrong))

    assert answer.status == 400
    assert "Content-MD5" in answer.json["ErrorMessage"]
    assert cases.manage("GET", "/2016-08-15/services/digest").status == 404


def test_a_signature_is_good_once_where_others_can_overhear_it(serve: Callable[..., Server]) -> None:
    files = {"echo.py": "def handler(event, context):\n    return event\n"}
    near, far = serve(files), serve(files, "--host", "0.0.0.0")
    for server, again in ((near, 200), (far, 403)):
        headers = acs3_headers(server, "GET", "/2023-03-30/functions")
        answers = [server.request("GET", "/2023-03-30/functions", None, headers) for _ in range(2)]

        assert [each.status for each in answers] == [200, again]
    assert answers[1].json["Code"] == "SignatureNonceUsed"
    path = "/2016-08-15/services/default/functions/echo/invocations"
    headers = far.signed_headers("POST", path, {})
    assert [far.request("POST", path, b"x", headers).status for _ in range(3)] == [200] * 3  # equal calls of a second


def test_the_body_of_a_newer_request_is_the_one_that_was_signed(cases: Server) -> None:
    path, body = "/2023-03-30/functions", b'{"functionName":"signed"}'
    for sent, code in ((body, "InvalidArgument"), (body.replace(b"signed", b"forged"), "SignatureNotMatch")):
        answer = cases.request("POST", path, sent, acs3_headers(cases, "POST", path, body))

        assert answer.json["Code"] == code


def acs3_headers(server: Server, method: str, path: str, body: bytes = b"") -> dict[str, str]:
    """Headers that sign a request as FC 3's clients do."""
    key = Keys(server.data_dir).first()[0]
    fields = {
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "x-acs-signature-nonce": secrets.token_hex(8),
    }
    names = ";".join(fields)
    headers = "".join(f"{name}:{value}\n" for name, value in fields.items())
    canonical = f"{method}\n{path}\n\n{headers}\n{names}\n{fields['x-acs-content-sha256']}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    made = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {**fields, "authorization": f"ACS3-HMAC-SHA256 Credential={key.id},SignedHeaders={names},Signature={made}"}
