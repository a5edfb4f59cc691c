"""Chaos: random SIGKILL of a server and of everything that it starts, under mixed load; nothing may be lost or left.

    python tests/chaos.py [--mode root|user|plain] [--seconds 60] [--seed N]

Load: calls that wait, calls that are promised, answers in pieces, clients that leave, deployments. Killed are the
server (which is started again on the same data folder), zygotes, keepers, templates and workers, all of this server's
alone. Functions tell a socket of this program that they have begun, so what has run is known here whoever died.

It fails if a promised call was lost, or given up without having run; if an answer was wrong or never came; if anything
of the server is left at the end: a process, a mount, a control group, a descriptor.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pyfc.sandbox.sandbox import group_name
from support import MODES, Server, impossible, is_keeper, namespace, server_in_mode, template, wait_until, zipped

KINDS = ("worker", "worker", "template", "keeper", "zygote", "server")
_PAUSE = (0.1, 0.8)
_SERVER_LIVES = 5.0
"""Seconds at least between two kills of the server."""
_PATIENCE = 30.0
"""Seconds after which an answer counts as never given: the functions' timeout is 10."""
_DRAIN = 120.0
_OWN, _OF_EACH = 45, 12
"""Descriptors of the server itself, and for each process that it has: pipes, pidfd, counters of control groups."""
CODE = """
import os, socket

def _tell(text):
    with socket.create_connection(("127.0.0.1", int(os.environ["COLLECTOR"])), 5) as connection:
        connection.sendall(text)

def later(event, context):
    _tell(event)
    return event

def echo(event, context):
    return event

def pieces(environ, start_response):
    start_response("200 OK", [])
    return (b"x" * 10000 for _ in range(int(environ["QUERY_STRING"])))
"""
SETTINGS = {"PYFC_ASYNC_RETRY_DELAY": "0.1", "PYFC_IDLE_TIMEOUT": "2", "PYFC_BUILD": "0"}
FUNCTIONS = ("later", "echo", "pieces")


@dataclass
class Report:
    """What came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    promised: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    refusals: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For people."""
        counts = f"{len(self.promised)} promised, {len(self.begun)} begun, {len(self.given_up)} given up"
        return "\n".join(
            [
                f"kills: {dict(self.kills)}",
                f"answers: {dict(self.answers)}",
                f"asynchronous: {counts}",
                *(f"refused {count} times: {text}" for text, count in self.refusals.most_common()),
                *self.problems,
            ]
        )


class Collector:
    """Hears which events have begun."""

    def __init__(self, begun: set[str]) -> None:
        self._begun = begun
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                text = b""
                while data := connection.recv(256):
                    text += data
                self._begun.add(text.decode())

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()


class Chaos:
    """One server after the other, on one data folder."""

    def __init__(self, mode: str, scratch: Path, seed: int) -> None:
        self.report = Report()
        self.random = random.Random(seed)
        self._mode = mode
        self._scratch = scratch
        self._collector = Collector(self.report.begun)
        variables = {"COLLECTOR": str(self._collector.port)}
        properties = {
            name: {"Handler": f"index.{name}", "Timeout": 10, "EnvironmentVariables": variables} for name in FUNCTIONS
        }
        properties["pieces"]["http"] = ["GET"]
        self._files = {"index.py": CODE, "template.yml": template(properties)}
        self.server = self._start()
        self._others: dict[tuple[int, float], psutil.Process] = {}
        self._is_over = threading.Event()
        self._since = time.monotonic()

    def _start(self) -> Server:
        return server_in_mode(self._mode, self._scratch, self._files, **SETTINGS)

    def run(self, seconds: float) -> None:
        """Kill and load for so long; then see whether everything that was promised has come about."""
        self._warm()
        threads = [
            threading.Thread(target=self._load, args=(each, number)) for number, each in enumerate(self._loads())
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._is_over.wait(self.random.uniform(*_PAUSE))
            self._kill()
        self._is_over.set()
        for thread in threads:
            thread.join(_PATIENCE * 2)
            if thread.is_alive():
                self.report.problems.append("a client waits for ever")
        self._drain()
        self._look_at_descriptors()

    def _warm(self) -> None:
        assert self.server.invoke("demo/echo", b"warm").body == b"warm"

    # load

    def _loads(self) -> list[Callable[[int, int], str]]:
        return [
            self._call,
            self._call,
            self._promise,
            self._promise,
            self._stream,
            self._stream,
            self._leave,
            self._deploy,
        ]

    def _load(self, each: Callable[[int, int], str], thread: int) -> None:
        number = 0
        while not self._is_over.is_set():
            number += 1
            began = time.monotonic()
            try:
                outcome = each(thread, number)
            except TimeoutError:
                self.report.problems.append(f"{each.__name__} {thread}-{number} had no answer in {_PATIENCE:g} s")
                outcome = "never answered"
            except (OSError, http.client.HTTPException):
                outcome = "cut off"  # the server was killed
                self._is_over.wait(0.05)
            except Exception as error:
                self.report.problems.append(f"{each.__name__} {thread}-{number}: {error!r}")
                outcome = "wrong"
            self.report.answers[f"{each.__name__.strip('_')}: {outcome}"] += 1
            if time.monotonic() - began > _PATIENCE:
                self.report.problems.append(f"{each.__name__} {thread}-{number} took too long")

    def _request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=_PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 500:
                self.report.refusals[f"{answer.status} {text[:200].decode()}"] += 1
            return answer.status, text
        finally:
            connection.close()

    def _call(self, thread: int, number: int) -> str:
        event = f"{thread}-{number}".encode()
        status, body = self._request("POST", _path("echo"), event)
        if status == 200 and body != event:
            assert b"Process exited unexpectedly" in body, body
            return "its process ended"
        return _checked(status)

    def _promise(self, thread: int, number: int) -> str:
        event = f"{os.getpid()}-{thread}-{number}"
        status, _ = self._request("POST", _path("later"), event.encode(), {"X-Fc-Invocation-Type": "Async"})
        if status == 202:
            self.report.promised.add(event)
        return _checked(status)

    def _stream(self, _thread: int, number: int) -> str:
        count = number % 40 + 1
        status, body = self._request("GET", f"/2016-08-15/proxy/demo/pieces/?{count}")
        assert status != 200 or len(body) == count * 10000, f"{len(body)} bytes of {count * 10000}"
        return _checked(status, 502)

    def _leave(self, _thread: int, number: int) -> str:
        with socket.create_connection(("127.0.0.1", self.server.port), _PATIENCE) as connection:
            head = f"GET /2016-08-15/proxy/demo/pieces/?{number % 200 + 1} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(head.encode())
            if number % 3:
                connection.recv(1000)
        return "left"

    def _deploy(self, _thread: int, number: int) -> str:
        self._is_over.wait(1.0)
        name = FUNCTIONS[number % len(FUNCTIONS)]
        document = {"code": {"zipFile": zipped({"index.py": f"{CODE}# {number}\n"})}}
        path = f"/2016-08-15/services/demo/functions/{name}"
        body = json.dumps(document).encode()
        status, _ = self._request("PUT", path, body, self.server.signed_headers("PUT", path, {}))
        return _checked(status)

    # kills

    def _kill(self) -> None:
        kind = self.random.choice(KINDS)
        if kind == "server":
            if time.monotonic() - self._since > _SERVER_LIVES:
                self._kill_server()
            return
        found = self._found().get(kind, [])
        if found:
            with contextlib.suppress(psutil.Error):
                self.random.choice(found).kill()
                self.report.kills[kind] += 1

    def _found(self) -> dict[str, list[psutil.Process]]:
        """What the server has started, by what it is."""
        found: dict[str, list[psutil.Process]] = {}
        with contextlib.suppress(psutil.Error):
            for outside in psutil.Process(self.server.process.pid).children():
                self._sort(outside, found)
        for processes in found.values():
            for process in processes:
                self._others[process.pid, process.create_time()] = process
        return found

    def _sort(self, outside: psutil.Process, found: dict[str, list[psutil.Process]]) -> None:
        """The wrapper of another user stands between the server and the process that was started here."""
        children = outside.children()
        found.setdefault("zygote", []).append(outside)
        if children and namespace(children[0].pid) != namespace(outside.pid):
            found["zygote"].append(children[0])
            children = children[0].children()
        for child in children:
            if is_keeper(child.pid):
                found.setdefault("keeper", []).append(child)
                for each in child.children():
                    found.setdefault("template" if _has_keeper(each.pid) else "worker", []).append(each)
            else:
                found.setdefault("worker", []).append(child)

    def _kill_server(self) -> None:
        self._found()
        everything = [self._process(), *self._others.values()]
        self.server.process.kill()
        self._read(self.server.stop()[1])
        self._gone(everything)
        self.server = self._start()
        self.report.kills["server"] += 1
        self._since = time.monotonic()

    def _stop(self) -> tuple[int, str]:
        try:
            return self.server.stop()
        except subprocess.TimeoutExpired:
            assert self.server.process.stderr is not None
            return -1, f"it does not stop; {self.server.process.stderr.read()}"

    def _read(self, errors: str) -> None:
        """What a server has written to its log."""
        at = errors.find("Traceback")
        if at >= 0:
            self.report.problems.append(errors[max(0, at - 500) : at + 4000])

    def _process(self) -> psutil.Process:
        return psutil.Process(self.server.process.pid)

    def _gone(self, processes: list[psutil.Process]) -> None:
        _, alive = psutil.wait_procs(processes, timeout=20)
        self._others.clear()
        if alive:
            self.report.problems.append(f"processes outlived their server: {alive}")

    # the end

    def _drain(self) -> None:
        """Everything that was promised comes about now that nothing is killed."""

        def waiting() -> int:
            depth = self.server.manage("GET", "/pyfc/events").json["depth"]
            return int(sum(count for name, count in depth.items() if name != "given_up"))

        wait_until(lambda: waiting() == 0, "the end of every promised call", _DRAIN)
        events = self.server.manage("GET", "/pyfc/events").json["events"]
        given_up = {
            self.server.manage("GET", f"/pyfc/events/{each['requestId']}").json["invocationPayload"] for each in events
        }
        self.report.given_up = given_up
        if lost := self.report.promised - self.report.begun - given_up:
            self.report.problems.append(f"promised and lost: {sorted(lost)}")
        if unrun := given_up - self.report.begun:
            self.report.problems.append(f"given up without having run: {sorted(unrun)}")

    def _open(self) -> int:
        return len(os.listdir(f"/proc/{self.server.process.pid}/fd"))

    def _look_at_descriptors(self) -> None:
        """Once what is idle has been released: no more than what lives needs."""

        def is_right() -> bool:
            return self._open() <= _OWN + _OF_EACH * len(self.server.processes())

        try:
            wait_until(is_right, "descriptors to be closed", 30)
        except AssertionError:
            pid, living = self.server.process.pid, len(self.server.processes())
            left = Counter(_target(pid, name) for name in os.listdir(f"/proc/{pid}/fd"))
            self.report.problems.append(f"{self._open()} descriptors for {living} processes: {left.most_common(9)}")

    def close(self) -> None:
        """Stop the server, and look whether anything of it is left."""
        self._is_over.set()
        self._found()
        everything = list(self._others.values())
        try:
            status, errors = self._stop()
            if status:
                self.report.problems.append(f"the server ended with {status}: {errors[-2000:]}")
            self._read(errors)
            self._gone(everything)
        finally:
            self._collector.close()
        data = str(self.server.data_dir)
        mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if data in line]
        groups = [str(path) for path in _groups(self.server.data_dir)]
        if mounts or groups:
            self.report.problems.append(f"left behind: {mounts} {groups}")


def _path(function: str) -> str:
    return f"/2016-08-15/services/demo/functions/{function}/invocations"


def _checked(status: int, *more: int) -> str:
    """An answer that may be: it went well, or the platform says why not."""
    assert status in {200, 202, 429, 500, 503, *more}, status
    return str(status)


def _has_keeper(pid: int) -> bool:
    """Whether a child of a keeper is a template: it has a socket to it."""
    try:
        return os.readlink(f"/proc/{pid}/fd/6").startswith("socket:")
    except OSError:
        return False


def _target(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{name}").partition(":")[0]
    except OSError:
        return "gone"


def _groups(data_dir: Path) -> list[Path]:
    """Control groups of the server's."""
    return list(Path("/sys/fs/cgroup").rglob(group_name(data_dir)))


def run(mode: str, seconds: float, seed: int) -> Report:
    """One run; what it found."""
    scratch = Path(tempfile.mkdtemp(prefix="pyfc-chaos-"))
    chaos = Chaos(mode, scratch, seed)
    try:
        try:
            chaos.run(seconds)
        except Exception as error:
            chaos.report.problems.append(repr(error))
        finally:
            chaos.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return chaos.report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=MODES, default="root" if os.geteuid() == 0 else "user")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    given = parser.parse_args()
    if why := impossible(given.mode):
        parser.error(why)
    sys.stdout.write(f"seed {given.seed}\n")
    report = run(given.mode, given.seconds, given.seed)
    sys.stdout.write(report.text() + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
