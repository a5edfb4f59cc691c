"""The conformance kit: the same small functions in every language, and what each must do (runtimes/README.md)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import ANY

import pytest

from pyfc.host.runtimes import Runtime, Runtimes
from support import Response, Server, template, time_passed, wait_until

RUNTIMES = Runtimes()
EVENTS = (
    "echo", "fault", "slow", "log", "init", "binary", "big", "context", "hooks", "concurrency",
)  # fmt: skip
HTTP = ("http", "stream", "unread", "pieces", "digest", "heads")
SPECIAL: dict[str, dict[str, Any]] = {
    "init": {"Initializer": "index.initialize"},
    "slow": {"Timeout": 1},
    "hooks": {
        "InstanceLifecycleConfig": {"PreFreeze": {"Handler": "index.freeze"}, "PreStop": {"Handler": "index.stop"}}
    },
    "concurrency": {"InstanceConcurrency": 5},
}


def interpreter_or_skip(runtime: Runtime) -> None:
    """A language that is not installed is a visible skip for a person, and a failure where everything must be."""
    name = runtime.names[0]
    if RUNTIMES.interpreter(name) is None:
        if os.environ.get("CI") and runtime.is_required:
            pytest.fail(RUNTIMES.why_not(name))
        pytest.skip(RUNTIMES.why_not(name))


@pytest.fixture(scope="module", params=RUNTIMES.all, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    chosen: Runtime = request.param
    interpreter_or_skip(chosen)
    return chosen


@pytest.fixture(scope="module")
def kit(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("kit")
    shutil.copytree(runtime.folder / "conformance", folder, dirs_exist_ok=True)
    common = {"Runtime": runtime.names[0], "MemorySize": 256, "Timeout": 20}
    handlers = {name: f"index.{runtime.reserved.get(name, name)}" for name in EVENTS}
    functions = {name: {**common, "Handler": handlers[name], **SPECIAL.get(name, {})} for name in EVENTS}
    functions |= {name: {**common, "Handler": f"index.{name}", "http": ["GET", "POST", "PUT"]} for name in HTTP}
    (folder / "template.yml").write_text(template(functions, "kit"))
    alone = {name: {"maximumInstanceCount": 1} for name in ("unread", "pieces", "digest", "heads")}
    (folder / "pyfc.yml").write_text(json.dumps({"services": {"kit": alone}}))
    server = Server(folder, tmp_path_factory.mktemp("data"), PYFC_FREEZE_AFTER="0.2", PYFC_IDLE_TIMEOUT="1")
    yield server
    status, errors = server.stop()
    assert (status, errors) == (0, "")


@pytest.fixture
def has(runtime: Runtime) -> Callable[[str], None]:
    def check(case: str) -> None:
        if case in runtime.lacks:
            pytest.skip(f"{runtime.title}: {runtime.lacks[case]}")

    return check


def invoke(server: Server, name: str, event: bytes = b"") -> Response:
    return server.invoke(f"kit/{name}", event, X_Fc_Log_Type="Tail")


def log_of(response: Response) -> str:
    return base64.b64decode(response.headers["X-Fc-Log-Result"]).decode()


def test_an_event_comes_back_as_it_was(kit: Server) -> None:
    for event in (b"", b"hello", bytes(range(256)) * 10):
        answer = invoke(kit, "echo", event)
        assert (answer.status, answer.body) == (200, event)
        assert answer.headers["X-Fc-Error-Type"] is None


def test_bytes_stay_bytes(kit: Server) -> None:
    assert invoke(kit, "binary").body == bytes(range(256))


def test_what_is_raised_is_an_error_document(kit: Server) -> None:
    answer = invoke(kit, "fault", b"no luck")

    assert (answer.status, answer.headers["X-Fc-Error-Type"]) == (200, "UnhandledInvocationError")
    assert answer.json["errorMessage"] == "no luck"
    assert answer.json["errorType"]
    assert invoke(kit, "fault", b"again").json["errorMessage"] == "again", "the instance goes on"


def test_a_call_that_takes_too_long_is_ended_and_the_next_one_works(kit: Server) -> None:
    assert invoke(kit, "slow", b"10").body == b"slept"

    answer = invoke(kit, "slow", b"30000")

    assert answer.json["errorMessage"].startswith("Function timed out after 1 seconds")
    assert invoke(kit, "slow", b"10").body == b"slept"


def test_a_call_has_its_own_output(kit: Server) -> None:
    first, second = (invoke(kit, "log", name) for name in (b"first", b"second"))

    assert "printed first" in log_of(first)
    assert "logged first" in log_of(first)
    assert "printed second" in log_of(second)
    assert "first" not in log_of(second)


def test_the_initializer_has_run_before_the_first_call(kit: Server) -> None:
    answer = invoke(kit, "init")

    assert answer.body == b"initialized", answer.body
    assert "FC Initialize Start" in log_of(answer)


def test_large_events_and_results_are_whole(kit: Server) -> None:
    answer = kit.invoke("kit/big", b"e" * 3_000_000)

    assert (answer.status, len(answer.body), set(answer.body)) == (200, 3_000_001, {ord("x")})


def test_the_context_tells_of_the_call_and_its_function(kit: Server) -> None:
    answer = invoke(kit, "context")

    assert answer.json == {
        "requestId": answer.headers["X-Fc-Request-Id"],
        "function": "context",
        "handler": "index.context",
        "memory": 256,
        "timeout": 20,
        "service": "kit",
        "qualifier": "LATEST",
        "region": "cn-hangzhou",
        "accountId": "1234567890123456",
        "accessKeyId": ANY,
    }


def test_the_context_has_the_alias_by_which_it_was_called(kit: Server) -> None:
    service = "/2016-08-15/services/kit"
    version = kit.manage("POST", f"{service}/versions", {}).json["versionId"]
    assert kit.manage("POST", f"{service}/aliases", {"aliasName": "live", "versionId": version}).status == 200

    answers = [kit.invoke(f"kit.{name}/context").json["qualifier"] for name in ("live", version, "live")]
    assert answers == ["live", version, "live"], "by one and the same instance"


def test_hooks_run_when_an_instance_is_frozen_and_when_it_ends(kit: Server, has: Callable[[str], None]) -> None:
    has("hooks")

    assert invoke(kit, "hooks").body == b"done"

    for text in ("preFreeze ran", "preStop ran"):
        wait_until(lambda text=text: text in kit.logged(""), text)  # type: ignore[misc]


def test_several_calls_at_once_share_an_instance(kit: Server, has: Callable[[str], None]) -> None:
    has("concurrency")
    invoke(kit, "concurrency")

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: invoke(kit, "concurrency"), range(5)))

    assert len({answer.headers["X-Fc-Instance-Id"] for answer in answers}) == 1
    assert max(int(answer.body) for answer in answers) == 5


def test_an_http_request_reaches_the_function_and_its_answer_the_client(kit: Server) -> None:
    headers = {"Host": "http.kit.localhost", "X-Sent": "by the client", "Content-Type": "text/plain"}

    answer = kit.request("PUT", "/a%20b?x=1&y=2", b"the body", headers)

    assert answer.status == 201
    assert answer.json == {
        "method": "PUT", "path": "/a b", "query": "x=1&y=2", "header": "by the client", "body": "the body",
    }  # fmt: skip
    assert answer.headers["X-Conformance"] == "yes"
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_an_answer_in_pieces_arrives_in_pieces(kit: Server, has: Callable[[str], None]) -> None:
    has("stream")
    with kit.connect() as connection:
        connection.sendall(b"GET /2016-08-15/proxy/kit/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        seen = b""
        while b"one" not in seen and (piece := connection.recv(65536)):
            seen += piece
        assert b"one" in seen
        assert b"two" not in seen
        while piece := connection.recv(65536):
            seen += piece
    assert b"two" in seen


PROXY = "/2016-08-15/proxy/kit"
LARGE = os.urandom(5_000_000) * 4


def test_a_body_of_20_mb_ends_where_the_function_reads_slowly(kit: Server) -> None:
    for body in (LARGE, b"small", LARGE[: 1024 * 1024 + 1]):
        assert kit.request("POST", f"{PROXY}/digest", body).body.decode() == hashlib.sha256(body).hexdigest()


def test_an_answer_that_is_read_slowly_is_whole_and_so_is_the_next_one(kit: Server) -> None:
    for _ in range(2):
        with kit.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.sendall(f"GET {PROXY}/pieces?80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            seen = 0
            while piece := connection.recv(65536):
                seen += piece.count(b"x")
                time_passed(0.001)
        assert seen >= 80 * 65536
        assert kit.request("GET", f"{PROXY}/pieces?2").body == b"x" * 131072


def test_an_answer_without_a_look_at_the_request_is_followed_by_a_right_one(kit: Server) -> None:
    instances = set()
    for body in (LARGE, b"", LARGE[:2_000_000], b"small") * 2:
        answer = kit.request("POST", f"{PROXY}/unread", body)
        assert answer.body == b"unread"
        instances.add(answer.headers["X-Fc-Instance-Id"])
    assert len(instances) == 1


def test_a_client_that_leaves_in_the_middle_of_its_request_costs_nobody_else_anything(kit: Server) -> None:
    before = kit.request("POST", f"{PROXY}/digest", b"before").headers["X-Fc-Instance-Id"]
    for sent in (0, 1_100_000, 1_500_000, 4_000_000):
        with kit.connect() as connection:
            head = f"POST {PROXY}/digest HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"
            connection.sendall(head.encode() + LARGE[:sent])
            time_passed(0.1)

        answer = kit.request("POST", f"{PROXY}/digest", LARGE[:3_000_000])
        assert answer.body.decode() == hashlib.sha256(LARGE[:3_000_000]).hexdigest()
        assert answer.headers["X-Fc-Instance-Id"] == before


def test_a_client_that_leaves_in_the_middle_of_an_answer_costs_nobody_else_anything(kit: Server) -> None:
    before = kit.request("GET", f"{PROXY}/pieces?1").headers["X-Fc-Instance-Id"]
    for _ in range(3):
        with kit.connect() as connection:
            connection.sendall(f"GET {PROXY}/pieces?500 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert connection.recv(1000)

        answer = kit.request("GET", f"{PROXY}/pieces?30")
        assert answer.body == b"x" * 65536 * 30
        assert answer.headers["X-Fc-Instance-Id"] == before


def test_headers_that_are_too_large_are_an_error_at_once(kit: Server) -> None:
    assert len(kit.request("GET", f"{PROXY}/heads?30000").headers["X-Large"]) == 30000
    instance = kit.request("GET", f"{PROXY}/heads?1").headers["X-Fc-Instance-Id"]

    for size in (33_000, 64_500, 65_400, 200_000):
        answer = kit.request("GET", f"{PROXY}/heads?{size}")
        assert answer.body != b"heads"
        assert b"Process exited" not in answer.body
        assert b"timed out" not in answer.body

    answer = kit.request("GET", f"{PROXY}/heads?1")
    assert (answer.body, answer.headers["X-Fc-Instance-Id"]) == (b"heads", instance)


def test_the_kit_is_whole(runtime: Runtime) -> None:
    assert set(runtime.lacks) <= {"concurrency", "stream", "hooks"}
    assert any((runtime.folder / "conformance").iterdir())
    assert json.dumps(dict(runtime.lacks)), "reasons are texts"
