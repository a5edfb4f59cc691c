"""Custom runtimes: a server of the user's, and go1 programs, which ask for their calls."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyfc.project.load import load
from support import OWN_MODE_FIRST, Server, impossible, server_in_mode, template, wait_until

with socket.socket() as _probe:
    _probe.bind(("", 0))
    ELSEWHERE = _probe.getsockname()[1]
    """A port of this machine that nobody has."""
PYTHON = """#!/usr/bin/env python3
import json, os, socket, subprocess, sys, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.reply(200, *self.answer(body))

    def do_GET(self):
        self.do_POST()

    def answer(self, body):
        if body == b"die":
            os._exit(7)
        if body == b"itself":
            return [urllib.request.urlopen("http://localhost:9000/inner").read()]
        if body.startswith(b"reach "):
            try:
                with socket.create_connection(("127.0.0.1", int(body.split()[1])), 2):
                    return [b"reached"]
            except OSError as error:
                return [type(error).__name__.encode()]
        if self.path == "/inner":
            return [b"from inside"]
        if body.startswith(b"run "):
            return [subprocess.run(body[4:], shell=True, capture_output=True).stdout]
        headers = {name.lower(): value for name, value in self.headers.items()}
        return [json.dumps({"path": self.path, "headers": headers, "exact": list(self.headers), "body": body.decode(),
                            "pid": os.getpid(), "ppid": os.getppid(), "port": self.server.server_port}).encode()]

    def reply(self, status, body, *headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("0.0.0.0", 9000), Handler).serve_forever()
"""
OLD = """#!/usr/bin/env python3
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body * 2)

    def log_message(self, *_):
        pass

HTTPServer(("", 8080), Handler).serve_forever()
"""
SICK = """#!/usr/bin/env python3
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

began = time.monotonic()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if time.monotonic() - began < 1 else 200)
        self.end_headers()

    def do_POST(self):
        self.do_GET()
        self.wfile.write(b"%d" % (time.monotonic() - began >= 1))

    def log_message(self, *_):
        pass

HTTPServer(("", 9000), Handler).serve_forever()
"""
PULLS = """#!/usr/bin/env python3
import os, urllib.request

base = "http://%s/2020-11-11/runtime/invocation/" % os.environ["FC_RUNTIME_API"]
while True:
    with urllib.request.urlopen(base + "next") as asked:
        number, event = asked.headers["x-fc-request-id"], asked.read()
    answer = event * 2
    if event == b"socket":
        answer = os.environ["FC_RUNTIME_API"].encode()
    urllib.request.urlopen(urllib.request.Request(base + number + "/response", answer)).read()
"""
FILES = {
    "python/bootstrap": PYTHON,
    "python/pages/home/index.txt": "home\n",
    "old/start.py": OLD,
    "sick/bootstrap": SICK,
    "gone/bootstrap": "#!/bin/sh\necho leaving\nexit 3\n",
    "deaf/bootstrap": "#!/bin/sh\nexec sleep 100\n",
    "other/bootstrap": PYTHON.replace("9000", str(ELSEWHERE)),
    "none/readme": "nothing to start\n",
    "windows/bootstrap": "#!/bin/sh\r\nexec sleep 100\r\n",
    "environment/bootstrap": "#!/usr/bin/env python3\r\nprint()\r\n",
    "marked/bootstrap": "\ufeff#!/bin/sh\nexec sleep 100\n",
    "bare/bootstrap": "exec sleep 100\n",
    "nowhere/bootstrap": "#!/opt/nowhere/sh\nexec sleep 100\n",
    "unfound/bootstrap": "#!/usr/bin/env no-such-interpreter\n",
    "pulls/main": PULLS,
    "command/bootstrap": "#!/bin/sh\nno-such-command 2>/dev/null\n",
}
UNSTARTABLE = {
    "windows": "bootstrap has Windows line ends, so that its interpreter is taken to be '/bin/sh\\r'",
    "environment": "bootstrap has Windows line ends, so that its interpreter is taken to be 'python3\\r'",
    "marked": "bootstrap begins with a byte order mark",
    "bare": "bootstrap has no interpreter line",
}
"""Also told at start."""
NOT_HERE = {
    "nowhere": "the interpreter of bootstrap, /opt/nowhere/sh, is not on this machine",
    "unfound": "the interpreter of bootstrap, no-such-interpreter, is not on PATH",
    "none": "there is no file bootstrap in the code",
}


def project() -> dict[str, str]:
    custom = {"Runtime": "custom", "Handler": "index.handler", "Timeout": 10}
    functions: dict[str, dict[str, Any]] = {
        name: {**custom, "CodeUri": f"./{name}"}
        for name in ("python", "gone", "deaf", "other", "command", *UNSTARTABLE, *NOT_HERE)
    }
    functions["pulls"] = {**custom, "Runtime": "go1", "Handler": "main", "CodeUri": "./pulls"}
    functions["second"] = {**custom, "CodeUri": "./python"}
    functions["web"] = {**custom, "CodeUri": "./python", "http": ["GET", "POST"], "InstanceConcurrency": 5}
    functions["old"] = {
        **custom, "Runtime": "custom.debian10", "CodeUri": "./old", "CAPort": 8080,
        "CustomRuntimeConfig": {"Command": ["python3"], "Args": ["start.py"]},
    }  # fmt: skip
    check = {"httpGetUrl": "/health", "periodSeconds": 1, "initialDelaySeconds": 0}
    functions["sick"] = {**custom, "CodeUri": "./sick", "CustomHealthCheckConfig": check}
    return {**FILES, "template.yml": template(functions, "own")}


@pytest.fixture(scope="module", params=OWN_MODE_FIRST)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if why := impossible(request.param):
        pytest.skip(why)
    scratch = tmp_path_factory.mktemp("custom")
    for name, text in project().items():
        path = scratch / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    server = server_in_mode(request.param, scratch, {}, PYFC_PROGRAM_TIMEOUT="5")
    yield server
    assert server.stop()[0] == 0


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str:
    """Of the server `own`."""
    return str(request.node.callspec.params["own"])


def test_an_event_is_posted_with_fcs_headers(own: Server) -> None:
    answer = own.invoke("own/python", b"hi")

    told = answer.json
    assert (told["path"], told["body"]) == ("/invoke", "hi")
    assert told["headers"]["x-fc-request-id"] == answer.headers["X-Fc-Request-Id"]
    assert told["headers"]["x-fc-function-name"] == "python"
    assert told["headers"]["content-type"] == "application/octet-stream"
    assert {"X-Fc-Request-Id", "Content-Length", "Host"} <= set(told["exact"]), (
        "servers that read them by hand need that"
    )


def test_every_instance_listens_on_the_same_port_and_finds_itself_there(own: Server) -> None:
    both = [own.invoke(f"own/{name}").json["pid"] for name in ("python", "second")]

    assert all(both)
    answer = own.invoke("own/python", b"itself")
    assert answer.body == b"from inside", answer.body
    assert own.invoke("own/second", b"itself").body == b"from inside"


def test_it_still_reaches_the_network(own: Server) -> None:
    assert own.invoke("own/python", b"reach %d" % own.port).body == b"reached"


def test_a_server_of_http_1_0_on_another_port_with_a_command_of_its_own_works(own: Server) -> None:
    for text in (b"ab", b"cd"):
        assert own.invoke("own/old", text).body == text * 2


def test_a_request_of_a_client_comes_as_it_was_sent(own: Server) -> None:
    answer = own.request("POST", "/2016-08-15/proxy/own/web/a%20b/c?x=1", b"body", {"X-Own": "1"})

    assert answer.json["path"] == "/2016-08-15/proxy/own/web/a%20b/c?x=1", "as FC 2 hands it on"
    assert answer.json["headers"]["x-own"] == "1"
    assert answer.json["headers"]["x-fc-control-path"] == "/http-invoke"
    assert answer.json["headers"]["x-fc-base-path"] == "/2016-08-15/proxy/own/web/"


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("gone", "CAExited", "the custom runtime exited with status 3 before it listened\nLogs:\nleaving"),
        (
            "command",
            "CAExited",
            "the custom runtime exited with status 127 before it listened: no-such-command is not on PATH",
        ),
        pytest.param(
            "deaf",
            "FunctionNotStarted",
            "the custom runtime does not listen on port 9000 after 5 seconds",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "other",
            "FunctionNotStarted",
            "the custom runtime does not listen on port 9000 after 5 seconds\nLogs:\n"
            f"the program has taken port {ELSEWHERE} and not 9000, where its calls come: caPort would say so",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_program_that_does_not_serve_has_fcs_error(own: Server, name: str, code: str, message: str) -> None:
    answer = own.invoke(f"own/{name}")

    assert (answer.status, answer.json) == (412, {"ErrorCode": code, "ErrorMessage": message})


@pytest.mark.parametrize(("name", "why"), [*UNSTARTABLE.items(), *NOT_HERE.items()])
def test_a_program_that_can_not_be_started_says_why(own: Server, name: str, why: str) -> None:
    answer = own.invoke(f"own/{name}")

    assert (answer.status, answer.json["ErrorCode"]) == (412, "CAExited")
    beginning = f"the custom runtime exited with status 127 before it listened: {why}"
    assert answer.json["ErrorMessage"].startswith(beginning), answer.json


def test_what_can_not_be_started_anywhere_is_told_at_start(tmp_path: Path) -> None:
    for name, text in project().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    os.mkfifo(tmp_path / "command" / "fifo")

    warnings = [text for text in load(tmp_path).warnings if "can not be started" in text]

    assert [text.partition(" can not be started: ")[0] for text in warnings] == [f"own/{name}" for name in UNSTARTABLE]
    for text, why in zip(warnings, UNSTARTABLE.values(), strict=True):
        assert why in text


def test_a_program_changes_its_code_and_the_folders_of_services_for_itself(own: Server, mode: str) -> None:
    if mode == "plain":
        pytest.skip("what is shown there is everybody's")
    change = (
        "run cd pages; echo new > new; mv home/index.txt home/old; cat home/old > x; echo more >> x; mv x home/old;"
        " rm ../bootstrap; mkdir -p deep/er /var/lib/it /var/log/it /run/it && cat new home/old; ls . .."
    )

    changed = own.invoke("own/python", change.encode()).body.decode().split()
    assert changed == ["new", "home", "more", ".:", "deep", "home", "new", "..:", "pages"]
    again = own.invoke("own/python", b"run ls; ls pages; ls /var/lib /run").body.decode().split()
    assert again == ["pages", "deep", "home", "new", "/run:", "it", "/var/lib:", "it"], "it is the same instance"
    other = own.invoke("own/second", b"run ls; ls pages/*; ls /run").body.decode().split()
    assert other == ["bootstrap", "pages", "index.txt"]


def test_a_program_that_ends_fails_its_call_and_the_next_one_gets_another(own: Server) -> None:
    answer = own.invoke("own/python", b"die")

    assert (answer.status, answer.json["ErrorCode"]) == (412, "CAExited")
    assert own.invoke("own/python", b"hi").status == 200


def test_servers_that_everyone_reaches_are_named_at_start(own: Server, request: pytest.FixtureRequest) -> None:
    named = [note for note in own.ready["notes"] if "x-fc- headers" in note]

    assert bool(named) == (request.node.callspec.params["own"] == "plain")
    assert all("own/python, " in note and "own/pulls" not in note for note in named)


def test_nobody_else_reaches_the_runtime_api_of_an_instance(own: Server) -> None:
    api = own.invoke("own/pulls", b"socket").body.decode()
    assert own.invoke("own/pulls", b"again").body == b"againagain"

    with socket.socket() as stranger:
        stranger.settimeout(5)
        try:
            stranger.connect(("127.0.0.1", int(api.rpartition(":")[2])))
            stranger.sendall(b"GET /2020-11-11/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stranger.recv(1) == b""
        except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            pass
    assert own.invoke("own/pulls", b"later").body == b"laterlater"


def test_a_health_check_is_waited_for(own: Server) -> None:
    assert own.invoke("own/sick").body == b"1"


def test_nothing_is_left_of_it(own: Server) -> None:
    own.invoke("own/python")
    programs = [each for each in own.processes() if "bootstrap" in " ".join(each.cmdline())]
    assert programs

    assert own.stop()[0] == 0

    wait_until(lambda: not [each for each in programs if each.is_running()], "the end of the programs")


GO = r"""
package main

import ("bytes"; "encoding/base64"; "encoding/json"; "fmt"; "io"; "net/http"; "os")

func main() {
	base := "http://" + os.Getenv("FC_RUNTIME_API") + "/2020-11-11/runtime/invocation/"
	initialized := false
	for {
		call, err := http.Get(base + "next")
		if err != nil { panic(err) }
		event, _ := io.ReadAll(call.Body)
		call.Body.Close()
		for _, name := range []string{"deadline", "timeout"} {
			if call.Header.Get("x-fc-function-" + name) == "" { panic(name) }
		}
		kind, result := "response", []byte(fmt.Sprint(string(event), " ", initialized))
		if call.Header.Get("x-fc-function-type") == "1" { initialized = true }
		if string(event) == "fail" { kind, result = "error", []byte(`{"errorMessage":"no","errorType":"Refused"}`) }
		if string(event) == "big" { result = bytes.Repeat([]byte("x"), 3000000) }
		answer, _ := http.NewRequest("POST", base+call.Header.Get("x-fc-request-id")+"/"+kind, bytes.NewReader(result))
		if params := call.Header.Get("x-fc-http-params"); params != "" {
			text, _ := base64.StdEncoding.DecodeString(params)
			var request map[string]any
			json.Unmarshal(text, &request)
			headers := map[string][]string{"X-Path": {fmt.Sprint(request["path"])}}
			head, _ := json.Marshal(map[string]any{"status": 201, "headersMap": headers})
			answer.Header.Set("x-fc-http-params", base64.StdEncoding.EncodeToString(head))
		}
		told, err := http.DefaultClient.Do(answer)
		if err != nil || told.StatusCode != 200 { panic("not taken") }
		io.Copy(io.Discard, told.Body)
		told.Body.Close()
	}
}
"""


def compiler() -> str | None:
    return shutil.which("go") or shutil.which("/usr/local/go/bin/go")


@pytest.mark.long  # Go compiles its standard library for it
@pytest.mark.skipif(compiler() is None, reason="Go is not installed")
def test_a_go1_program_asks_for_its_calls(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "main.go").write_text(GO)
    go = compiler()
    assert go is not None
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    subprocess.run([go, "build", "-o", str(folder / "main"), str(tmp_path / "main.go")], check=True, env=environment)
    common = {"Runtime": "go1", "Handler": "main", "Timeout": 10}
    functions: dict[str, dict[str, Any]] = {
        "event": {**common, "Initializer": "init"},
        "web": {**common, "http": ["GET"]},
    }
    (folder / "template.yml").write_text(template(functions, "go"))
    server = Server(folder, tmp_path / "data")
    try:
        assert server.invoke("go/event", b"hi").body == b"hi true"
        failed = server.invoke("go/event", b"fail")
        assert (failed.headers["X-Fc-Error-Type"], failed.json["errorType"]) == ("UnhandledInvocationError", "Refused")
        assert len(server.invoke("go/event", b"big").body) == 3_000_000
        answer = server.request("GET", "/2016-08-15/proxy/go/web/some/path")
        assert (answer.status, answer.headers["X-Path"]) == (201, "/some/path")
    finally:
        assert server.stop()[0] == 0


def test_a_container_is_refused_with_what_to_do(tmp_path: Path) -> None:
    document = template({"f": {"Runtime": "custom-container", "CustomContainerConfig": {"Image": "nginx"}}})
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "template.yml").write_text(document)
    server = Server(tmp_path / "project", tmp_path / "data")
    try:
        answer = server.invoke("demo/f")
        assert answer.status == 400
        assert "pyfc runs no containers" in answer.json["ErrorMessage"]
        assert any("customRuntimeConfig.command" in note for note in server.ready["notes"])
    finally:
        server.stop()


def test_a_wrong_configuration_names_its_line(tmp_path: Path) -> None:
    from pyfc.errors import ProjectError
    from pyfc.project.load import load

    (tmp_path / "template.yml").write_text(
        textwrap.dedent("""
        ROSTemplateFormatVersion: '2015-09-01'
        Transform: 'Aliyun::Serverless-2018-04-03'
        Resources:
          demo:
            Type: 'Aliyun::Serverless::Service'
            f:
              Type: 'Aliyun::Serverless::Function'
              Properties:
                Runtime: custom
                CAPort: 99999
        """).lstrip()
    )

    with pytest.raises(ProjectError, match=r"template.yml:10.*CAPort"):
        load(tmp_path)


SOCKETS = """#!/usr/bin/env python3
import base64, hashlib, os, socketserver

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        headers = {}
        line = self.rfile.readline()
        while (text := self.rfile.readline().decode().strip()):
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("upgrade") != "websocket":
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nplain")
            return
        key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.wfile.write(f"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                         f"Sec-WebSocket-Accept: {accept}\\r\\n\\r\\n".encode())
        while True:
            first, second = self.rfile.read(2)
            size = second & 127
            size = int.from_bytes(self.rfile.read(2 if size == 126 else 8), "big") if size > 125 else size
            mask, data = self.rfile.read(4), self.rfile.read(size)
            text = bytes(each ^ mask[at % 4] for at, each in enumerate(data))
            if first & 15 == 8:
                return
            length = bytes([size]) if size < 126 else b"\\x7f" + size.to_bytes(8, "big")
            self.wfile.write(bytes([first]) + length + text.upper())

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

Server(("0.0.0.0", 9000), Handler).serve_forever()
"""


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "bootstrap").write_text(SOCKETS)
    (folder / "bootstrap").chmod(0o755)
    (folder / "index.py").write_text(
        "def handler(environ, start_response):\n    start_response('200 OK', [])\n    return [b'plain']\n"
    )
    web = {"Timeout": 20, "http": ["GET"]}
    functions: dict[str, dict[str, Any]] = {
        "chat": {**web, "Runtime": "custom", "InstanceConcurrency": 3},
        "other": web,
    }
    (folder / "template.yml").write_text(template(functions))
    server = Server(folder, tmp_path / "data")
    yield server
    assert server.stop()[0] == 0


def test_a_websocket_goes_through(chat: Server) -> None:
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{chat.port}/2016-08-15/proxy/demo/chat/room") as first:
        first.send("hello")
        assert first.recv(timeout=10) == "HELLO"
        with connect(f"ws://127.0.0.1:{chat.port}/2016-08-15/proxy/demo/chat/room", max_size=None) as second:
            large = "x" * 2_000_000
            second.send([large])
            assert second.recv(timeout=20) == large.upper()
            first.send("still there")
            assert first.recv(timeout=10) == "STILL THERE"
    assert chat.request("GET", "/2016-08-15/proxy/demo/chat/").body == b"plain"


def test_a_websocket_goes_through_at_the_functions_own_address(chat: Server) -> None:
    from websockets.sync.client import connect

    reached = socket.create_connection(("127.0.0.1", chat.port))
    with connect(f"ws://chat.demo.localhost:{chat.port}/room", sock=reached) as client:
        client.send("/room")
        assert client.recv(timeout=10) == "/ROOM"


def test_a_client_that_leaves_ends_its_websocket_and_frees_the_instance(chat: Server) -> None:
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{chat.port}/2016-08-15/proxy/demo/chat/") as client:
        client.send("x")
        assert client.recv(timeout=10) == "X"
        client.socket.shutdown(socket.SHUT_RDWR)

    def ended() -> bool:
        return any(each.get("function") == "chat" for each in chat.records)

    wait_until(ended, "the record of the call")


def test_a_function_that_can_not_answer_a_websocket_gets_the_plain_request(chat: Server) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{chat.port}/2016-08-15/proxy/demo/other/")
    assert refused.value.response.status_code == 200
