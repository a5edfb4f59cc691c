"""instanceConcurrency above 1: several calls at once in one instance."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from support import SHARES_FILES, Response, Server, template, wait_until

CODE = """
import logging, os, signal, sys, threading, time

started, folders = [], []

def occupied(number, frame):  # the thread that reads what the worker is told
    while not os.path.exists(os.path.join(folders[-1], 'go')):
        time.sleep(0.001)
    time.sleep(0.05)

signal.signal(signal.SIGUSR1, occupied)

def initializer(context):
    started.append(context.request_id)

def wait(folder, name):
    open(os.path.join(folder, name), 'w').close()
    while not os.path.exists(os.path.join(folder, 'go')):
        time.sleep(0.005)

def handler(event, context):
    word, _, rest = event.partition(b' ')
    word, folder = word.decode('latin-1'), rest.decode('latin-1')
    if word == 'hold':
        wait(folder, context.request_id)
        return '%d %s' % (len(started), threading.current_thread().name)
    if word == 'print':
        for number in range(50):
            print('print', context.request_id)
            logging.getLogger().info('logged')
            time.sleep(0.001)
        os.write(1, b'raw\\n')
        thread = threading.Thread(target=print, args=('from a thread of its own',))
        thread.start()
        thread.join()
        return context.request_id
    if word == 'busy':
        folders.append(folder)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        wait(folder, context.request_id)
        return event
    if word == 'late':
        time.sleep(1)
        open(os.path.join(folder, 'half'), 'w').close()
        wait_for_ever()
    if word == 'die':
        os._exit(1)
    if word == 'leave':
        sys.exit('left')
    return event

def wait_for_ever():
    time.sleep(60)

def web(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [])
    for at in range(0, len(body), 100000):
        yield body[at:at + 100000]
"""


SEVERAL = {"InstanceConcurrency": 4, "Initializer": "index.initializer", "Timeout": 2}
WEB = {"InstanceConcurrency": 4, "Handler": "index.web", "Timeout": 20, "http": ["GET", "POST"]}
FILES = {"template.yml": template({"several": SEVERAL, "web": WEB}), "index.py": CODE}


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., Server]) -> Server:
    return serve_all(FILES, *SHARES_FILES)


@pytest.fixture
def fresh(serve: Callable[..., Server]) -> Server:
    """For a test that counts what there is."""
    return serve(FILES, *SHARES_FILES)


class Held:
    """Calls that run until they are let go."""

    def __init__(self, server: Server, folder: Path) -> None:
        folder.mkdir()
        self.server = server
        self.folder = folder
        self.pool = ThreadPoolExecutor(16)
        self.futures: list[Future[Response]] = []

    def start(self, count: int, word: str = "hold") -> None:
        event = f"{word} {self.folder}".encode()
        self.futures += [self.pool.submit(self.server.invoke, "demo/several", event) for _ in range(count)]
        wait_until(lambda: len(list(self.folder.iterdir())) == len(self.futures), "the calls to run")

    def finish(self) -> list[Response]:
        (self.folder / "go").touch()
        answers = [future.result(20) for future in self.futures]
        self.pool.shutdown()
        return answers


def test_an_instance_takes_as_many_calls_as_it_may_and_the_next_gets_another_one(
    server: Server, tmp_path: Path
) -> None:
    held = Held(server, tmp_path / "flags")

    held.start(1)
    held.start(3)
    held.start(1)
    instances = [answer.headers["X-Fc-Instance-Id"] for answer in held.finish()]

    assert len(set(instances[:4])) == 1
    assert instances[4] != instances[0]


def test_calls_that_arrive_together_share_an_instance_and_its_initializer_runs_once(
    server: Server, tmp_path: Path
) -> None:
    held = Held(server, tmp_path / "flags")

    held.start(4)
    answers = held.finish()

    assert len({answer.headers["X-Fc-Instance-Id"] for answer in answers}) == 1
    assert {answer.body.split()[0] for answer in answers} == {b"1"}
    assert len({answer.body.split()[1] for answer in answers}) == 4


def test_prints_and_log_lines_belong_to_their_call_and_raw_output_to_the_instance(fresh: Server) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: fresh.invoke("demo/several", b"print", X_Fc_Log_Type="Tail"), range(4)))

    instances = {answer.headers["X-Fc-Instance-Id"] for answer in answers}
    for answer in answers:
        own = answer.body.decode()
        log = fresh.record(own)["log"]
        lines = [line for line in log.splitlines() if line.startswith("print ") or "[INFO]" in line]
        assert len(lines) == 100
        assert all(own in line for line in lines)
        assert f"print {own}" in base64.b64decode(answer.headers["X-Fc-Log-Result"]).decode()
        assert "raw" not in log
    wait_until(lambda: fresh.logged("").count("raw\n") == 4, "the instance's own output")
    wait_until(lambda: fresh.logged("").count("from a thread of its own") == 4, "what threads of its own print")
    assert len(instances) == 1


def test_a_late_call_is_answered_at_once_and_its_instance_ends_after_the_others(fresh: Server, tmp_path: Path) -> None:
    held = Held(fresh, tmp_path / "flags")
    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(fresh.invoke, "demo/several", f"late {tmp_path}".encode())
        wait_until((tmp_path / "half").exists, "half of the timeout")
        held.start(1)
        answer = late.result(10)
        assert not held.futures[0].done()
        other = fresh.invoke("demo/several", b"echo")
        [neighbour] = held.finish()

    instance = answer.headers["X-Fc-Instance-Id"]
    assert "timed out after 2 seconds" in answer.json["errorMessage"]
    assert (neighbour.status, neighbour.headers["X-Fc-Instance-Id"]) == (200, instance)
    assert "X-Fc-Error-Type" not in neighbour.headers
    assert other.headers["X-Fc-Instance-Id"] != instance
    number = answer.headers["X-Fc-Request-Id"]
    wait_until(lambda: "wait_for_ever" in fresh.logged(number), "where the late call was")
    wait_until(lambda: len(fresh.workers()) <= 2, "the end of its instance (one more, and a spare)")


def test_a_late_call_tells_where_it_was_though_its_last_neighbour_ends_before_the_worker_comes_to_that(
    server: Server, tmp_path: Path
) -> None:
    held = Held(server, tmp_path / "flags")
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(server.invoke, "demo/several", f"late {tmp_path}".encode())
        wait_until((tmp_path / "half").exists, "half of the timeout")
        held.start(1, "busy")
        number = late.result(10).headers["X-Fc-Request-Id"]
        [neighbour] = held.finish()

    assert neighbour.status == 200
    wait_until(lambda: "wait_for_ever" in server.logged(number), "where the late call was", 5)


def test_a_late_call_without_neighbours_ends_its_worker(server: Server, tmp_path: Path) -> None:
    answer = server.invoke("demo/several", f"late {tmp_path}".encode())

    assert "timed out after 2 seconds" in answer.json["errorMessage"]
    wait_until(lambda: "wait_for_ever" in server.logged(answer.headers["X-Fc-Request-Id"]), "where it was")
    assert server.invoke("demo/several", b"echo").headers["X-Fc-Instance-Id"] != answer.headers["X-Fc-Instance-Id"]


@pytest.mark.parametrize("how", [b"die", b"leave"])
def test_a_worker_that_dies_fails_every_call_it_ran(server: Server, tmp_path: Path, how: bytes) -> None:
    held = Held(server, tmp_path / "flags")
    held.start(2)

    died = server.invoke("demo/several", how)
    answers = [died, *held.finish()]

    assert ["Process exited unexpectedly" in answer.json["errorMessage"] for answer in answers] == [True] * 3


def test_large_bodies_of_several_calls_travel_beside_each_other(server: Server) -> None:
    bodies = [os.urandom(3_000_000 + number) for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        events = pool.map(lambda body: server.invoke("demo/several", body).body, bodies)
        streams = pool.map(lambda body: server.request("POST", "/2016-08-15/proxy/demo/web/", body).body, bodies)

        assert [digest(body) for body in events] == [digest(body) for body in bodies]
        assert [digest(body) for body in streams] == [digest(body) for body in bodies]


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_a_short_function_that_takes_long_for_once_does_not_hold_up_its_neighbours(
    server: Server, tmp_path: Path
) -> None:
    for number in range(60):
        assert server.invoke("demo/several", b"%d" % number).body == b"%d" % number

    held = Held(server, tmp_path / "flags")
    held.start(3)
    neighbour = server.invoke("demo/several", b"neighbour")
    answers = held.finish()

    assert neighbour.body == b"neighbour"
    assert len({answer.headers["X-Fc-Instance-Id"] for answer in [neighbour, *answers]}) == 1


def test_a_short_function_answers_each_call_with_its_own_result_and_log(server: Server) -> None:
    with ThreadPoolExecutor(16) as pool:
        events = [b"print" if number % 50 == 49 else b"%d" % number for number in range(600)]
        answers = list(pool.map(lambda event: server.invoke("demo/several", event), events))

    for event, answer in zip(events, answers, strict=True):
        if event != b"print":
            assert answer.body == event
            assert "print" not in server.logged(answer.headers["X-Fc-Request-Id"])
        else:
            own = answer.body.decode()
            server.record(own)
            assert server.logged(own).count(f"print {own}\n") == 50


@pytest.mark.parametrize("last", [b"die", b"leave", b"late"])
def test_a_short_function_that_dies_or_is_late_ends_its_instance_alone(
    server: Server, tmp_path: Path, last: bytes
) -> None:
    for _ in range(60):
        server.invoke("demo/several", b"short")

    answer = server.invoke("demo/several", last + b" " + bytes(tmp_path))

    assert answer.headers["X-Fc-Error-Type"] == "UnhandledInvocationError"
    if last == b"late":
        wait_until(lambda: "wait_for_ever" in server.logged(answer.headers["X-Fc-Request-Id"]), "where it was")
    assert server.invoke("demo/several", b"after").body == b"after"
