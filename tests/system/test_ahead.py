"""Calls of short functions are sent to a busy worker ahead of their turn; what must not change by that."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import SHARES_FILES, Response, Server, template, time_passed, wait_until

CODE = """
import os, subprocess, sys, time

def handler(event, context):
    text = event.decode()
    word, _, rest = text.partition(' ')
    if word == 'print':
        print('printed', rest, flush=True)
        os.write(1, b'raw ' + rest.encode() + b'\\n')
    if word == 'child':
        subprocess.run(['/bin/echo', 'child', rest])
    if word == 'close':
        os.closerange(5, 64)
        os.write(1, b'closed ' + rest.encode())
    if word == 'many':
        for number in range(40000):
            print('line', number)
    if word == 'pid':
        return str(os.getpid())
    if word == 'die':
        os._exit(3)
    if word == 'hold':
        open(rest + '/held', 'w').close()
        while not os.path.exists(rest + '/go'):
            time.sleep(0.005)
    if word == 'late':
        time.sleep(60)
    return event
"""


def start(serve: Callable[..., Server], instances: int, timeout: int = 20) -> Server:
    server = serve({
        "template.yml": template({"short": {"Timeout": timeout}}),
        "pyfc.yml": f"services: {{demo: {{short: {{maximumInstanceCount: {instances}}}}}}}",
        "index.py": CODE,
    }, *SHARES_FILES)  # fmt: skip
    for _ in range(3):
        assert server.invoke("demo/short", b"warm").body == b"warm"
    return server


def together(server: Server, events: list[str], **headers: str) -> list[Response]:
    with ThreadPoolExecutor(24) as pool:
        return list(pool.map(lambda event: server.invoke("demo/short", event.encode(), **headers), events))


def test_each_answer_goes_to_its_caller(serve: Callable[..., Server]) -> None:
    server = start(serve, 1)
    events = [f"echo {number}" for number in range(600)]

    assert [answer.body.decode() for answer in together(server, events)] == events


def test_what_a_call_writes_stands_in_its_own_log_and_in_no_other(serve: Callable[..., Server]) -> None:
    server = start(serve, 1)
    words = ["print", "echo", "child", "print"]
    events = [f"{words[number % 4]} {number}" for number in range(200)]

    answers = together(server, events, X_Fc_Log_Type="Tail")

    for event, answer in zip(events, answers, strict=True):
        word, _, number = event.partition(" ")
        log = base64.b64decode(answer.headers["X-Fc-Log-Result"]).decode()
        inside = log.partition("FC Invoke Start")[2].partition("\n")[2].partition("FC Invoke End")[0]
        expected = {"print": f"printed {number}\nraw {number}\n", "child": f"child {number}\n", "echo": ""}[word]
        assert inside == expected, event


def test_a_function_that_closes_the_descriptor_of_the_marks_keeps_its_log(serve: Callable[..., Server]) -> None:
    server = start(serve, 1)

    for number in range(5):
        answer = server.invoke("demo/short", f"close {number}".encode(), X_Fc_Log_Type="Tail")
        assert f"closed {number}\n" in base64.b64decode(answer.headers["X-Fc-Log-Result"]).decode()


def test_a_short_function_that_writes_very_much_does_not_hang(serve: Callable[..., Server]) -> None:
    server = start(serve, 1)

    answers = together(server, ["many", "echo 1", "many", "echo 2"])

    assert [answer.body for answer in answers] == [b"many", b"echo 1", b"many", b"echo 2"]
    for answer in (answers[0], answers[2]):
        number = answer.headers["X-Fc-Request-Id"]
        server.record(number)
        assert server.logged(number) == "".join(f"line {number}\n" for number in range(40000))


def test_calls_behind_one_that_takes_long_are_given_to_another_instance(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = start(serve, 2)

    with ThreadPoolExecutor(24) as pool:
        held = pool.submit(server.invoke, "demo/short", f"hold {tmp_path}".encode())
        others = [pool.submit(server.invoke, "demo/short", b"echo %d" % number) for number in range(12)]
        wait_until((tmp_path / "held").exists, "the call that takes long")
        answers = [other.result(10) for other in others]
        assert not held.done()
        (tmp_path / "go").touch()
        slow = held.result(10)

    assert [answer.body for answer in answers] == [b"echo %d" % number for number in range(12)]
    assert slow.status == 200


def test_with_a_single_instance_they_wait_and_are_answered_in_the_end(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = start(serve, 1)

    with ThreadPoolExecutor(24) as pool:
        held = pool.submit(server.invoke, "demo/short", f"hold {tmp_path}".encode())
        wait_until((tmp_path / "held").exists, "the call that takes long")
        others = [pool.submit(server.invoke, "demo/short", b"echo %d" % number) for number in range(12)]
        assert not any(other.done() for other in others)
        (tmp_path / "go").touch()

        assert held.result(10).status == 200
        assert [other.result(10).body for other in others] == [b"echo %d" % number for number in range(12)]


def test_a_worker_that_dies_fails_the_call_it_ran_and_no_other(serve: Callable[..., Server]) -> None:
    server = start(serve, 1)
    events = [f"die {number}" if number % 40 == 7 else f"echo {number}" for number in range(400)]

    answers = together(server, events)

    for event, answer in zip(events, answers, strict=True):
        if event.startswith("die"):
            assert "Process exited unexpectedly" in answer.json["errorMessage"]
        else:
            assert answer.body.decode() == event


def test_a_call_that_is_too_late_fails_alone(serve: Callable[..., Server]) -> None:
    server = start(serve, 1, timeout=1)

    answers = together(server, ["late", *(f"echo {number}" for number in range(10))])

    assert "timed out after 1 seconds" in answers[0].json["errorMessage"]
    assert [answer.body for answer in answers[1:]] == [b"echo %d" % number for number in range(10)]


def test_a_worker_that_gets_no_processor_for_a_while_is_used_again(serve: Callable[..., Server]) -> None:
    server = start(serve, 1)
    [worker] = {int(server.invoke("demo/short", b"pid").body) for _ in range(20)}

    with ThreadPoolExecutor(24) as pool:
        os.kill(worker, signal.SIGSTOP)
        calls = [pool.submit(server.invoke, "demo/short", b"echo %d" % number) for number in range(6)]
        time_passed(0.3)  # long enough to be taken for one that runs a long call
        os.kill(worker, signal.SIGCONT)

        assert [call.result(10).body for call in calls] == [b"echo %d" % number for number in range(6)]
    assert server.invoke("demo/short", b"echo again").body == b"echo again"


@pytest.mark.long
def test_answers_in_pieces_end_while_others_are_sent_ahead_and_clients_leave(serve: Callable[..., Server]) -> None:
    pieces = (
        "def handler(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return (b'x' * 10000 for _ in range(int(environ['QUERY_STRING'] or '1')))\n"
    )
    functions = {"pieces": {"http": ["GET"], "InstanceConcurrency": 1}}
    server = serve({"template.yml": template(functions), "index.py": pieces}, PYFC_MAXIMUM_INSTANCE_COUNT="1")

    def call(number: int) -> int:
        path = f"/2016-08-15/proxy/demo/pieces/?{number % 40 + 1}"
        if number % 7 == 3:
            with server.connect() as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                connection.recv(1000)
            return number % 40 + 1
        return len(server.request("GET", path).body) // 10000

    with ThreadPoolExecutor(16) as pool:
        sizes = list(pool.map(call, range(600)))

    assert sizes == [number % 40 + 1 for number in range(600)]
