"""Header values beyond Latin-1 are sent as FC sends them, in UTF-8, by every runtime; what splits an answer is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from test_build import write

from support import Response, Server, template

WSGI = """import json, urllib.parse
def handler(environ, start_response):
    name, value = json.loads(urllib.parse.unquote(environ["QUERY_STRING"]))
    start_response("200 OK", [(name, value), ("X-After", "b")])
    return [b"body"] if name != "X-Pieces" else (b"piece" for _ in range(3))
"""
NODE = """exports.handler = (req, resp) => {
  const [name, value] = JSON.parse(decodeURIComponent(req.url.split('?')[1]));
  resp.setHeader(name, value);
  resp.setHeader('X-After', 'b');
  resp.send('body');
};
"""
DICT = """import json
def handler(event, context):
    name, value = json.loads(json.loads(event)["queryParameters"]["q"])
    return {"statusCode": 200, "headers": {name: value, "X-After": "b"}, "body": "body"}
"""
NODE_DICT = """exports.handler = async (event) => {
  const [name, value] = JSON.parse(JSON.parse(event).queryParameters.q);
  return { statusCode: 200, headers: { [name]: value, 'X-After': 'b' }, body: 'body' };
};
"""
CUSTOM = """#!/usr/bin/env python3
import http.server, json, urllib.parse
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        name, value = json.loads(urllib.parse.unquote(self.path.partition("?")[2]))
        head = "HTTP/1.1 200 OK\\r\\n%s: %s\\r\\nX-After: b\\r\\nContent-Length: 4\\r\\n\\r\\n" % (name, value)
        self.wfile.write(head.encode() + b"body")
http.server.HTTPServer(("127.0.0.1", 9000), Handler).serve_forever()
"""
VALUES = ["中文", "é 中", "😀", "Größe €", "a\tb 中"]
REFUSED = [
    ("X-A", "中\r\nX-Injected: 1"),
    ("X-A", "中\n"),
    ("X-A", "中\0"),
    ("X-A", "\x85\x01"),
    ("X 中", "a"),
    ("X-中", "a"),
]


class Served:
    """A server of one edition of FC."""

    def __init__(self, server: Server, path: str, *, in_event: bool = False) -> None:
        self._server = server
        self._path = path
        self._in_event = in_event

    def call(self, function: str, name: str, value: str) -> Response:
        query = quote(json.dumps([name, value]))
        path = self._path.format(function) + ("?q=" if self._in_event else "?") + query
        return self._server.request("GET", path)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("older")
    functions = {"python": {"http": ["GET"]}, "nodejs": {"http": ["GET"], "Runtime": "nodejs20"}}
    files = {"index.py": WSGI, "index.js": NODE, "template.yml": template(functions)}
    server = Server(write(folder / "app", files), folder / "data")
    yield Served(server, "/2016-08-15/proxy/demo/{}/")
    server.stop()


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("newer")
    trigger = {
        "triggerName": "web", "triggerType": "http",
        "triggerConfig": {"authType": "anonymous", "methods": ["GET"]},
    }  # fmt: skip
    resources = {
        name: {"component": "fc3", "props": {
            "functionName": name, "runtime": runtime, "handler": "index.handler", "code": f"./{name}",
            "triggers": [trigger],
        }}
        for name, runtime in (("python", "python3.10"), ("nodejs", "nodejs20"))
    }  # fmt: skip
    files = {
        "s.yaml": json.dumps({"edition": "3.0.0", "resources": resources}),
        "python/index.py": DICT, "nodejs/index.js": NODE_DICT,
    }  # fmt: skip
    server = Server(write(folder / "app", files), folder / "data")
    yield Served(server, "/2016-08-15/proxy/default/{}/", in_event=True)
    server.stop()


@pytest.fixture(scope="module")
def custom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("custom")
    document = template({"program": {"http": ["GET"], "Runtime": "custom"}})
    files = {"bootstrap": CUSTOM, "template.yml": document}
    write(folder / "app", files)
    (folder / "app/bootstrap").chmod(0o755)
    server = Server(folder / "app", folder / "data")
    yield Served(server, "/2016-08-15/proxy/demo/{}/")
    server.stop()


RUNTIMES = [("older", "python"), ("older", "nodejs"), ("newer", "python"), ("newer", "nodejs")]


def served(request: pytest.FixtureRequest, edition: str, function: str) -> Served:
    if function == "nodejs" and shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    found: Served = request.getfixturevalue(edition)
    return found


def text_of(answer: Response, name: str) -> str:
    """A header as a client reads it that takes its bytes for UTF-8."""
    assert answer.status == 200, answer.body
    assert answer.headers["X-After"] == "b"
    return (answer.headers[name] or "").encode("latin-1").decode()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("edition", "function"), [*RUNTIMES, ("custom", "program")])
def test_a_value_beyond_latin_1_is_sent_in_utf_8(
    request: pytest.FixtureRequest, edition: str, function: str, value: str
) -> None:
    assert text_of(served(request, edition, function).call(function, "X-Text", value), "X-Text") == value


def test_an_answer_in_pieces_has_them_too(older: Served) -> None:
    assert text_of(older.call("python", "X-Pieces", "中文"), "X-Pieces") == "中文"


def test_a_value_of_latin_1_is_sent_as_its_bytes(older: Served) -> None:
    """So does WSGI: frameworks give the bytes of UTF-8 as such text."""
    framework = "中文".encode().decode("latin-1")

    assert older.call("python", "X-Text", "caf\xe9").headers["X-Text"] == "caf\xe9"
    assert text_of(older.call("python", "X-Text", framework), "X-Text") == "中文"


@pytest.mark.parametrize(("name", "value"), REFUSED)
@pytest.mark.parametrize(("edition", "function"), RUNTIMES)
def test_a_header_that_would_split_the_answer_is_refused(
    request: pytest.FixtureRequest, edition: str, function: str, name: str, value: str
) -> None:
    answer = served(request, edition, function).call(function, name, value)

    assert (answer.status, answer.headers["X-Injected"]) == (502, None)
    assert answer.headers["X-Fc-Error-Type"] == "UnhandledInvocationError"
