"""Answers without a body (HEAD, 304, 204) have the length that the function states, and none that was made up."""

from __future__ import annotations

import http.client
import io
import shutil
from collections.abc import Iterator

import pytest

from support import Server, send_raw, template

PYTHON = """
def handler(environ, start_response):
    case, status = environ["PATH_INFO"].strip("/").split("/")
    lengths = [("Content-Length", case.rpartition("-")[2])] if "-" in case else []
    start_response(status + " X", [("Content-Type", "text/plain"), *lengths])
    if case.startswith("body"):
        return [b"hello"]
    if case.startswith("pieces"):
        return (b"x" * 1000 for _ in range(5))
    if case.startswith("none"):
        return (piece for piece in ())
    return []
"""
NODE = """
const { Readable } = require('stream');

exports.handler = (req, resp) => {
  const [name, status] = req.path.split('/').slice(1);
  resp.setStatusCode(Number(status));
  if (name.includes('-')) resp.setHeader('Content-Length', name.split('-')[1]);
  if (name.startsWith('body')) resp.send('hello');
  else if (name.startsWith('pieces')) resp.send(Readable.from(Array(5).fill('x'.repeat(1000))));
  else if (name.startsWith('none')) resp.send(Readable.from([]));
  else resp.send('');
};
"""
CUSTOM = """#!/usr/bin/env python3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        case, status = self.path.strip("/").split("/")[-2:]  # it gets the whole path
        self.send_response(int(status))
        if "-" in case:
            self.send_header("Content-Length", case.rpartition("-")[2])
        elif case == "pieces":
            self.send_header("Transfer-Encoding", "chunked")
        elif case == "body":
            self.send_header("Content-Length", "5")
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("0.0.0.0", 9000), Handler).serve_forever()
"""
RUBY = """
def handler(env)
  name, status = env['PATH_INFO'].split('/').drop(1)
  headers = name.include?('-') ? { 'Content-Length' => name.split('-')[1] } : {}
  pieces = case name
           when /^body/ then ['hello']
           when /^pieces/ then Array.new(5) { 'x' * 1000 }
           else []
           end
  [status, headers, pieces]
end
"""
PHP = r"""<?php
function handler($request, $context)
{
    [, $name, $status] = explode('/', $request->getAttribute('path'));
    [$what, $length] = explode('-', $name) + [1 => null];
    $pieces = (function () { for ($number = 0; $number < 5; $number++) { yield str_repeat('x', 1000); } })();
    $body = ['body' => 'hello', 'pieces' => $pieces][$what] ?? '';
    return new RingCentral\Psr7\Response($status, $length === null ? [] : ['Content-Length' => $length], $body);
}
"""
RUNTIMES = ["python", "custom"]
RUNTIMES += ["node"] if shutil.which("node") else []
RUNTIMES += ["ruby"] if shutil.which("ruby") else []
RUNTIMES += ["php"] if shutil.which("php") else []
CASES = [
    ("HEAD", "empty-1234/200", "1234"),
    ("HEAD", "empty-50000000/200", "50000000"),
    ("HEAD", "none-1234/200", "1234"),
    ("HEAD", "pieces-5000/200", "5000"),
    ("HEAD", "pieces-3000000/200", "3000000"),
    ("HEAD", "empty/200", None),
    ("HEAD", "none/200", None),
    ("HEAD", "pieces/200", None),
    ("HEAD", "empty-1234/404", "1234"),
    ("HEAD", "empty-1234/304", "1234"),
    ("HEAD", "empty/304", None),
    ("HEAD", "empty-1234/204", None),
    ("GET", "empty-1234/304", "1234"),
    ("GET", "none-1234/304", "1234"),
    ("GET", "empty/304", None),
    ("GET", "none/304", None),
    ("GET", "empty-1234/204", None),
    ("GET", "none/204", None),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lengths")
    project = folder / "project"
    files = {
        "python": ("index.py", PYTHON),
        "node": ("index.js", NODE),
        "ruby": ("index.rb", RUBY),
        "php": ("index.php", PHP),
    }
    files["custom"] = ("bootstrap", CUSTOM)
    names = {"python": "python3", "node": "nodejs12", "ruby": "ruby", "php": "php7.2", "custom": "custom"}
    functions = {}
    for runtime in RUNTIMES:
        (project / runtime).mkdir(parents=True)
        file, text = files[runtime]
        (project / runtime / file).write_text(text)
        (project / runtime / file).chmod(0o755)
        functions[runtime] = {"Runtime": names[runtime], "CodeUri": f"{runtime}/", "http": ["GET", "HEAD"]}
    (project / "template.yml").write_text(template(functions))
    started = Server(project, folder / "data")
    yield started
    assert started.stop() == (0, "")


def ask(server: Server, runtime: str, method: str, path: str) -> tuple[http.client.HTTPMessage, bytes]:
    """Headers and body of an answer, as they are on the wire."""
    target = f"/2016-08-15/proxy/demo/{runtime}/{path}"
    raw = send_raw(server, f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + path.rpartition("/")[2].encode()), head
    lines = head.partition(b"\r\n")[2] + b"\r\n\r\n"
    assert lines.lower().count(b"content-length:") < 2
    return http.client.parse_headers(io.BytesIO(lines)), body


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(("method", "path", "length"), CASES)
def test_an_answer_without_a_body_has_the_length_that_the_function_states(
    server: Server, runtime: str, method: str, path: str, length: str | None
) -> None:
    headers, body = ask(server, runtime, method, path)

    assert headers["content-length"] == length
    assert headers["transfer-encoding"] is None
    assert body == b""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_body_that_a_function_gives_for_head_counts_if_it_states_no_length(server: Server, runtime: str) -> None:
    headers, body = ask(server, runtime, "HEAD", "body/200")

    assert headers["content-length"] in {"5", None if runtime in {"ruby", "php"} else "5"}  # theirs come in pieces
    assert body == b""


def test_a_connection_goes_on_after_answers_without_a_body(server: Server) -> None:
    head = b"%s /2016-08-15/proxy/demo/python/%s HTTP/1.1\r\nHost: localhost\r\n"
    asked = [(b"HEAD", b"empty-1234/200"), (b"HEAD", b"pieces/200"), (b"GET", b"none-9/304"), (b"GET", b"body/200")]
    raw = send_raw(server, b"".join(head % each + b"\r\n" for each in asked[:-1]) + head % asked[-1]
                   + b"Connection: close\r\n\r\n")  # fmt: skip

    assert raw.count(b"HTTP/1.1 ") == 4
    assert raw.endswith(b"\r\n\r\nhello")
