"""Bodies of HTTP functions that travel in pieces."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from support import SHARES_FILES, Server, template, wait_until

CODE = """
import hashlib, json, os, time
from urllib.parse import parse_qs

class Pieces:
    def __init__(self, pieces, closed):
        self.pieces, self.closed = pieces, closed
    def __iter__(self):
        return iter(self.pieces)
    def close(self):
        open(self.closed, 'w').close()

def handler(environ, start_response):
    query = {key: values[0] for key, values in parse_qs(environ['QUERY_STRING']).items()}
    return globals()[environ['PATH_INFO'].strip('/')](environ, start_response, **query)

def slowly(environ, start_response, folder):
    start_response('200 OK', [('Content-Type', 'text/event-stream')])
    for number in range(3):
        yield b'piece %d' % number
        while not os.path.exists(f'{folder}/go{number}'):
            time.sleep(0.005)

def endless(environ, start_response, folder, size='100000'):
    def pieces():
        number = 0
        while True:
            number += 1
            with open(folder + '/count', 'w') as file:
                file.write(str(number))
            yield b'x' * int(size)
            if int(size) < 1000:
                time.sleep(0.01)
    start_response('200 OK', [])
    return Pieces(pieces(), folder + '/closed')

def declared(environ, start_response, size, told):
    start_response('200 OK', [('Content-Length', told)])
    return (b'y' * 100000 for _ in range(int(size) // 100000))

def large(environ, start_response, count):
    start_response('200 OK', [])
    for number in range(int(count)):
        yield bytes([number % 256]) * 65536

def midway(environ, start_response):
    start_response('200 OK', [])
    yield b'first'
    raise RuntimeError('midway')

def late(environ, start_response):
    start_response('200 OK', [])
    yield b'first'
    time.sleep(60)

def bad_header(environ, start_response):
    start_response('200 OK', [('X-Split', 'a\\r\\nb')])
    yield b'first'

def upload(environ, start_response, folder=''):
    source = environ['wsgi.input']
    first = source.read(1024)
    if folder:
        open(folder + '/began', 'w').close()
    try:
        rest = source.read()
    except ConnectionError as error:
        open(folder + '/broken', 'w').write(str(error))
        raise
    start_response('200 OK', [])
    return [json.dumps([len(first) + len(rest), hashlib.sha256(first + rest).hexdigest()]).encode()]

def unread(environ, start_response):
    start_response('200 OK', [])
    return [environ['wsgi.input'].read(10)]

def hello(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
"""
PATH = "/2016-08-15/proxy/demo/web"


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., Server]) -> Server:
    properties = {"Timeout": 3, "http": ["GET", "POST", "HEAD"]}
    return serve_all({"template.yml": template({"web": properties}), "index.py": CODE}, *SHARES_FILES)


Get = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    yield connection
    connection.close()


@pytest.fixture
def get(connection: http.client.HTTPConnection) -> Iterator[Get]:
    answers = []

    def get(path: str, method: str = "GET") -> http.client.HTTPResponse:
        connection.request(method, PATH + path)
        answers.append(connection.getresponse())
        return answers[-1]

    yield get
    for answer in answers:
        answer.close()


def record(server: Server, answer: http.client.HTTPResponse) -> dict[str, object]:
    return server.record(answer.headers["X-Fc-Request-Id"])


def test_a_piece_arrives_before_the_next_one_is_made(server: Server, tmp_path: Path, get: Get) -> None:
    answer = get(f"/slowly?folder={tmp_path}")

    for number in range(3):
        assert answer.read(7) == b"piece %d" % number
        (tmp_path / f"go{number}").touch()
    assert answer.read() == b""
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert record(server, answer)["status"] == 200


def test_the_next_request_on_the_same_connection_is_answered(
    server: Server, connection: http.client.HTTPConnection
) -> None:
    for _ in range(3):
        connection.request("GET", PATH + "/large?count=20")
        assert len(connection.getresponse().read()) == 20 * 65536
        connection.request("GET", PATH + "/hello")
        assert connection.getresponse().read() == b"hello"


def test_a_result_of_unknown_length_may_be_larger_than_one_that_is_gathered(server: Server, get: Get) -> None:
    answer = get("/large?count=700")
    digest = hashlib.sha256()
    while piece := answer.read(1 << 20):
        digest.update(piece)

    assert digest.hexdigest() == hashlib.sha256(b"".join(bytes([n % 256]) * 65536 for n in range(700))).hexdigest()


def test_a_declared_length_is_kept(server: Server, get: Get) -> None:
    answer = get("/declared?size=3000000&told=3000000")

    assert (answer.headers["Content-Length"], answer.headers["Transfer-Encoding"]) == ("3000000", None)
    assert len(answer.read()) == 3000000


@pytest.mark.parametrize("told", [2950000, 3100000])
def test_a_body_that_is_not_of_its_declared_length_is_cut_off_and_a_fault(server: Server, told: int, get: Get) -> None:
    answer = get(f"/declared?size=3000000&told={told}")

    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    assert "Content-Length" in record(server, answer)["fault"]["message"]


@pytest.mark.parametrize(("path", "message"), [("/midway", "midway"), ("/late", "timed out after 3 seconds")])
def test_a_body_that_breaks_off_is_cut_off_so_that_the_client_can_tell(
    server: Server, path: str, message: str, get: Get
) -> None:
    answer = get(path)

    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        answer.read()
    assert message in record(server, answer)["fault"]["message"]
    assert server.request("GET", PATH + "/hello").body == b"hello"


def test_a_header_that_can_not_be_sent_is_a_502_also_before_a_body_in_pieces(server: Server) -> None:
    answer = server.request("GET", PATH + "/bad_header")

    assert (answer.status, answer.json["errorType"]) == (502, "InvalidResponse")


def test_head_gets_no_body_and_ends_the_pieces(server: Server, tmp_path: Path, get: Get) -> None:
    answer = get(f"/endless?folder={tmp_path}", "HEAD")

    assert (answer.status, answer.read()) == (200, b"")
    wait_until((tmp_path / "closed").exists, "the end of the pieces")


def test_a_client_of_http_1_0_gets_the_body_until_the_end_of_the_connection(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(f"GET {PATH}/large?count=20 HTTP/1.0\r\n\r\n".encode())
        with connection.makefile("rb") as file:
            head, _, body = file.read().partition(b"\r\n\r\n")

    assert len(body) == 20 * 65536
    assert b"Transfer-Encoding" not in head
    assert b"Connection: close" in head


@pytest.mark.parametrize("size", [100000, 10])
def test_a_client_that_leaves_ends_the_pieces(
    server: Server, tmp_path: Path, size: int, get: Get, connection: http.client.HTTPConnection
) -> None:
    answer = get(f"/endless?folder={tmp_path}&size={size}")
    assert answer.read(5) == b"xxxxx"
    number = answer.headers["X-Fc-Request-Id"]

    answer.close()
    connection.close()

    wait_until((tmp_path / "closed").exists, "the end of the pieces")
    assert server.record(number)["status"] == 499


def test_a_client_that_reads_nothing_holds_back_the_function_and_not_its_neighbours(
    server: Server, tmp_path: Path
) -> None:
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(f"GET {PATH}/endless?folder={tmp_path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_until((tmp_path / "count").exists, "the first piece")
        before = psutil.Process(server.process.pid).memory_info().rss

        for _ in range(50):
            assert server.request("GET", PATH + "/hello").body == b"hello"
        made = int((tmp_path / "count").read_text() or "0") * 100000

        assert made < 16_000_000, "pieces pile up"
        assert psutil.Process(server.process.pid).memory_info().rss - before < 16_000_000
    wait_until((tmp_path / "closed").exists, "the end of the pieces")


def test_a_large_request_reaches_the_function_while_it_arrives(server: Server, tmp_path: Path) -> None:
    body = os.urandom(4_000_000)
    with server.connect() as connection:
        head = (
            f"POST {PATH}/upload?folder={tmp_path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body[:2_000_000])
        wait_until((tmp_path / "began").exists, "the function to read")
        connection.sendall(body[2_000_000:])
        answer = http.client.HTTPResponse(connection)
        answer.begin()

        assert json.loads(answer.read()) == [len(body), hashlib.sha256(body).hexdigest()]


@pytest.mark.parametrize("size", [1048575, 1048576, 1048577, 1500000, 33554432])
def test_a_request_of_any_size_arrives_whole(server: Server, size: int) -> None:
    body = os.urandom(size)

    answer = server.request("POST", PATH + "/upload", body)

    assert answer.json == [size, hashlib.sha256(body).hexdigest()]


def test_a_client_that_leaves_in_the_middle_of_its_request_is_an_error_where_the_function_reads(
    server: Server, tmp_path: Path, get: Get
) -> None:
    def left() -> int:
        return [each.get("status") for each in server.records].count(499)

    before = left()
    with server.connect() as connection:
        head = f"POST {PATH}/upload?folder={tmp_path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 2_000_000)
        wait_until((tmp_path / "began").exists, "the function to read")

    wait_until((tmp_path / "broken").exists, "the function to notice")
    wait_until(lambda: left() > before, "the record of the call")
    assert server.request("GET", PATH + "/hello").body == b"hello"


def test_an_answer_that_does_not_read_the_request_leaves_the_connection_usable(
    server: Server, connection: http.client.HTTPConnection
) -> None:
    for _ in range(3):
        connection.request("POST", PATH + "/unread", b"z" * 3_000_000)
        assert connection.getresponse().read() == b"z" * 10
        connection.request("GET", PATH + "/hello")
        assert connection.getresponse().read() == b"hello"
