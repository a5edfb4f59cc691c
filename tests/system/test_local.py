"""`pyfc local`: Funcraft's commands and flags."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import DEADLINE, Server, impossible, pyfc, template


@pytest.mark.parametrize(
    ("options", "given", "seen"),
    [
        (["-e", "text"], b"", b"text"),
        (["-e", "event.json"], b"", b"from the file"),
        (["-e", "-"], b"piped", b"piped"),
        (["-f", "event.json"], b"", b"from the file"),
        (["-s"], b"piped", b"piped"),
        ([], b"", b""),
    ],
)
def test_local_invoke_takes_funcrafts_flags_and_prints_log_and_result(
    tmp_path: Path, options: list[str], given: bytes, seen: bytes
) -> None:
    (tmp_path / "template.yml").write_text(template({"quick": {"Handler": "index.quick"}}))
    (tmp_path / "index.py").write_text("def quick(event, context):\n    print('called')\n    return event\n")
    (tmp_path / "event.json").write_text("from the file")

    status, shown, log = pyfc(
        "local", "invoke", "demo/quick", *options, given=given, folder=tmp_path, XDG_STATE_HOME=str(tmp_path / "state")
    )

    assert (status, shown) == (0, seen.decode() + "\n")
    assert "FC Invoke Start RequestId: " in log
    assert "called" in log
    assert "Billed Duration: " in log


STAGED = """
edition: 3.0.0
resources:
  a:
    component: fc3
    props:
      functionName: writes
      runtime: python3
      handler: index.handler
      code: ./code
      environmentVariables: {STAGE: none}
      nasConfig:
        mountPoints:
          - {serverAddr: "nas.example:/x", mountDir: /mnt/kept}
          - {serverAddr: "nas.example:/y", mountDir: /mnt/own}
"""
WRITES = """
import os
def handler(event, context):
    for place in ('/mnt/kept', '/mnt/own'):
        with open(place + '/seen', 'a') as file:
            file.write(os.environ['STAGE'])
    return ' '.join(open(place + '/seen').read() for place in ('/mnt/kept', '/mnt/own'))
"""


def test_local_invoke_mounts_what_serve_mounts_and_reads_the_environment_that_is_chosen(tmp_path: Path) -> None:
    if reason := impossible("root"):
        pytest.skip(reason)
    (tmp_path / "code").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own").chmod(0o777)
    (tmp_path / "code" / "index.py").write_text(WRITES)
    (tmp_path / "s.yaml").write_text(STAGED)
    (tmp_path / "pyfc.yml").write_text("mounts: {/mnt/own: ./own}\n")
    overlay = "{resources: {a: {environmentVariables: {STAGE: live}}}}"
    (tmp_path / "env.yaml").write_text(f"environments: [{{name: live, overlays: {overlay}}}]\n")
    words = ("local", "invoke", "writes", "--env", "live")

    for seen in ("live live\n", "livelive livelive\n"):
        status, shown, log = pyfc(*words, folder=tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))
        assert (status, shown) == (0, seen), log
    assert (tmp_path / "own" / "seen").read_text() == "livelive"


def test_local_invoke_of_a_failing_function_exits_with_1_and_of_an_unknown_one_with_2(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text(template({"fails": {"Handler": "index.fails"}}))
    (tmp_path / "index.py").write_text("def fails(event, context):\n    raise ValueError('on purpose')\n")
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}

    failed = pyfc("local", "invoke", "fails", folder=tmp_path, **state)
    unknown = pyfc("local", "invoke", "nobody", folder=tmp_path, **state)

    assert failed[0] == 1
    assert json.loads(failed[1])["errorMessage"] == "on purpose"
    assert (unknown[0], "nobody" in unknown[2]) == (2, True)


SITE = {
    "Transform": "Aliyun::Serverless-2018-04-03",
    "Resources": {
        **json.loads(template({"web": {"http": ["GET"]}, "event": {}}))["Resources"],
        "Made_Up": {
            "Type": "Aliyun::Serverless::CustomDomain",
            "Properties": {
                "DomainName": "Auto",
                "RouteConfig": {"Routes": {"/*": {"ServiceName": "demo", "FunctionName": "web"}}},
            },
        },
        "shop.example.com": {
            "Type": "Aliyun::Serverless::CustomDomain",
            "Properties": {
                "RouteConfig": {
                    "Routes": {
                        "/a/*": {"ServiceName": "demo", "FunctionName": "web"},
                        "/b": {"ServiceName": "demo", "FunctionName": "web"},
                    }
                }
            },
        },
    },
}
WEB = """
def handler(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]
"""


@contextmanager
def local_start(folder: Path, *words: str) -> Iterator[Server]:
    """A server started as `pyfc local start` does, answered by its port."""
    server = Server(folder, folder / "data", command=("local", "start", *words))
    try:
        yield server
    finally:
        assert server.stop()[0] == 0


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "template.yml").write_text(json.dumps(SITE))
    (tmp_path / "index.py").write_text(WEB)
    return tmp_path


def test_local_start_of_a_domain_serves_its_routes_at_the_root_beside_the_api(shop: Path) -> None:
    with local_start(shop, "shop.example.com") as server:
        for _ in range(3):  # a request that was seen before takes another way
            assert server.request("GET", "/a/x").body == b"/a/x"
        assert server.request("GET", "/b").body == b"/b"
        assert server.request("GET", "/2016-08-15/proxy/demo/web/c").body == b"/c"
        assert server.request("GET", "/healthz").status == 200
        missing = server.request("GET", "/c")
        assert (missing.status, missing.json["ErrorCode"]) == (404, "RouteNotFound")
        assert server.request("GET", "/a/x", None, {"Host": "elsewhere.example.com"}).status == 403


def test_a_domain_whose_name_is_made_up_is_one_of_this_machine_and_is_started_by_its_key(shop: Path) -> None:
    with local_start(shop, "Made_Up") as server:
        assert server.request("GET", "/any").body == b"/any"
        assert server.request("GET", "/x", None, {"Host": f"made_up.localhost:{server.port}"}).body == b"/x"


def test_local_start_of_one_route_serves_no_other(shop: Path) -> None:
    with local_start(shop, "shop.example.com/a/*") as server:
        assert server.request("GET", "/a/x").body == b"/a/x"
        assert server.request("GET", "/b").status == 404


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["shop.example.com/c"], "domain 'shop.example.com' has no route '/c'; its routes: /a/*, /b"),
        (["nobody"], "nobody"),
        (["shop.example.com", "-d", "5678"], "name the one to debug: shop.example.com/a/*, shop.example.com/b"),
        (["-d", "5678"], "name the function to debug"),
    ],
)
def test_local_start_says_what_it_cannot_start(shop: Path, words: list[str], told: str) -> None:
    status, _, errors = pyfc("local", "start", *words, folder=shop)

    assert (status, told in errors) == (2, True), errors


class PyCharm:
    """As much of PyCharm's debug server as one breakpoint needs: lines of number, sequence and text."""

    def __init__(self, *breakpoints: tuple[str, int]) -> None:
        self.stopped: list[str] = []
        self._breakpoints = breakpoints
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(DEADLINE)
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        lines = ["501\t1\t1.1\tUNIX"]
        for path, line in self._breakpoints:
            lines.append(f"111\t3\tpython-line\t{path}\t{line}\tNone\tALL\tNone\tNone")
        connection.sendall("".join(f"{line}\n" for line in [*lines, "101\t5\t"]).encode())
        with connection, connection.makefile("r") as file:
            for line in file:
                kind, _, text = line.partition("\t")
                if kind == "105":
                    self.stopped.append(text)
                    thread = text.partition('thread id="')[2].partition('"')[0]
                    connection.sendall(f"106\t7\t{thread}\n".encode())

    def close(self) -> None:
        self._server.close()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()


def test_local_invoke_for_pycharm_connects_to_it_and_stops_at_its_breakpoint(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text(template({"f": {}}))
    (tmp_path / "index.py").write_text("def handler(event, context):\n    word = event\n    return word\n")
    pycharm = PyCharm(("/code/index.py", 3), (str(tmp_path / "index.py"), 3))
    words = ["-d", str(pycharm.port), "-c", "pycharm", "-e", "text"]

    status, shown, log = pyfc("local", "invoke", "f", *words, folder=tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))

    assert (status, shown) == (0, "text\n"), log
    assert "Python Debug Server" in log
    assert 'line="3"' in pycharm.stopped[0]
    pycharm.close()


def test_where_pycharm_does_not_listen_the_call_says_so(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text(template({"f": {}}))
    (tmp_path / "index.py").write_text("def handler(event, context):\n    return event\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        words = ["-d", str(probe.getsockname()[1]), "-c", "pycharm"]

        status, shown, log = pyfc(
            "local", "invoke", "f", *words, folder=tmp_path, XDG_STATE_HOME=str(tmp_path / "state")
        )

    assert status == 1
    assert "start it there" in shown + log
