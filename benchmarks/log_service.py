"""The log service: how fast it takes logs in and finds them, beside what the machine itself can do in the same run.

    python benchmarks/log_service.py [--lines N] [--rounds N]

1. put: lines a second of PutLogs (500 lines each, lz4, signed, 8 connections; each answer is durable), beside a program
   that does nothing but write the same bodies to a file and sync each.
2. search: milliseconds for the newest 100 logs of a query of two words, the rarer in 1 per cent of all, when all are
   indexed, beside grep for the rarer word in the same lines.
3. logs of functions: a function writes so many lines a second, for a while; how long after the last line of a second a
   search finds all of that second.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path

import lz4.block
import psutil
import report

from pyfc.auth.keys import Key, Keys
from pyfc.cloud.sls.groups import Labels, Log, write_group
from pyfc.data.version import SLS_INDEX
from servers import free_port, listening

_HOST = "bench-logs.cn-hangzhou.log.aliyuncs.com"
_BATCH, _CONNECTIONS, _DEADLINE = 500, 8, 60.0
_QUERY = "timeout and get"
_PROJECT = {
    "index.py": """
def handler(event, context):
    word, count = event.decode().split()
    for number in range(int(count)):
        print(word, "line", number)
""",
    "template.yml": """
Transform: Aliyun::Serverless-2018-04-03
Resources:
  bench:
    Type: Aliyun::Serverless::Service
    Properties: {LogConfig: {Project: bench-logs, Logstore: written}}
    writes:
      Type: Aliyun::Serverless::Function
      Properties: {Handler: index.handler, Runtime: python3, CodeUri: ./}
""",
}
_CALL = "/2016-08-15/services/bench/functions/writes/invocations"
_RATE, _PARTS = 2000, 10
"""Lines a second of a function, and calls that write them."""


class Service:
    """A server of pyfc, with a logstore."""

    def __init__(self, scratch: Path) -> None:
        self.port, data, folder = free_port(), scratch / "data", scratch / "project"
        folder.mkdir()
        for name, text in _PROJECT.items():
            (folder / name).write_text(text)
        command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(self.port), "--quiet"]
        self.process = subprocess.Popen([*command, "--data-dir", str(data)], cwd="/")
        listening(self.port)
        self._key: Key = Keys(data).all()[0]
        self.ask(self.connect(), "POST", "/logstores", json.dumps({"logstoreName": "lines"}).encode())

    def connect(self) -> HTTPConnection:
        """A connection that is kept."""
        return HTTPConnection("127.0.0.1", self.port, timeout=_DEADLINE)

    def ask(self, connection: HTTPConnection, method: str, path: str, body: bytes, **headers: str) -> bytes:
        """The body of an answer. Raises RuntimeError for an error."""
        fields = {"x-log-apiversion": "0.6.0", "x-log-signaturemethod": "hmac-sha1", "date": formatdate(usegmt=True)}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        fields |= {
            "content-type": "application/json",
            "content-md5": hashlib.md5(body, usedforsecurity=False).hexdigest().upper(),
        }
        own = "".join(f"{each}:{fields[each]}\n" for each in sorted(fields) if each.startswith("x-log-"))
        text = f"{method}\n{fields['content-md5']}\n{fields['content-type']}\n{fields['date']}\n{own}{path}"
        made = hmac.new(self._key.secret.encode(), text.encode(), hashlib.sha1).digest()
        fields |= {"host": _HOST, "authorization": f"LOG {self._key.id}:{base64.b64encode(made).decode()}"}
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        found = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {found[:300]!r}")
        return found

    def seconds(self) -> float:
        """Processor seconds of the server's own process."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def put(self, bodies: list[tuple[bytes, int]]) -> None:
        """Put groups over one connection."""
        connection = self.connect()
        for body, size in bodies:
            told = {"x_log_bodyrawsize": str(size), "x_log_compresstype": "lz4"}
            self.ask(connection, "POST", "/logstores/lines/shards/lb", body, **told)
        connection.close()

    def search(self) -> tuple[float, dict[str, object]]:
        """Milliseconds of one search, and what is told of it."""
        document = {"from": 0, "to": 2**31, "query": _QUERY, "line": 100, "reverse": True}
        connection = self.connect()
        began = time.monotonic()
        found = json.loads(self.ask(connection, "POST", "/logstores/lines/logs", json.dumps(document).encode()))
        connection.close()
        return (time.monotonic() - began) * 1000, found["meta"]

    def write(self, word: str, count: int) -> None:
        """Have the function write so many lines."""
        connection = self.connect()
        connection.request("POST", _CALL, f"{word} {count}")
        answer = connection.getresponse()
        if answer.read() != b"null":
            raise RuntimeError(f"the function answered {answer.status}")
        connection.close()

    def found_all(self, word: str, count: int) -> float:
        """Seconds until a search finds so many lines of the function."""
        document = {"from": 0, "to": 2**31, "query": f"{word} | select count(1) as found", "line": 1}
        connection, began, found = self.connect(), time.monotonic(), 0
        while found < count:
            if time.monotonic() - began > _DEADLINE:
                raise RuntimeError(f"a search finds {found} of {count} lines after {_DEADLINE:g} s")
            time.sleep(0.05)
            answer = self.ask(connection, "POST", "/logstores/written/logs", json.dumps(document).encode())
            found = int(json.loads(answer)["data"][0]["found"])
        connection.close()
        return time.monotonic() - began

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(_DEADLINE)


def groups(count: int, lines: Path) -> Iterator[tuple[bytes, int]]:
    """Bodies of PutLogs and their sizes when unpacked; their lines are written to a file too."""
    chance, now = random.Random(1), int(time.time())  # noqa: S311  lines to search
    with lines.open("a") as file:
        for _ in range(count):
            texts = [
                f"GET /index/{chance.randrange(1000)}.html took {chance.randrange(100)} ms, "
                f"{'timeout' if chance.random() < 0.01 else 'fine'}"
                for _ in range(_BATCH)
            ]
            logs = [Log(now, 0, [("message", text), ("status", "200")]) for text in texts]
            file.writelines(f"{text}\n" for text in texts)
            data = write_group(Labels("bench", "10.0.0.1"), logs)
            yield lz4.block.compress(data, store_size=False), len(data)


def written(folder: Path, bodies: list[tuple[bytes, int]]) -> float:
    """Lines a second of a program that writes each body and syncs it."""
    began = time.monotonic()
    with (folder / "written").open("wb", buffering=0) as file:
        for body, _ in bodies:
            file.write(body)
            os.fsync(file.fileno())
    return len(bodies) * _BATCH / (time.monotonic() - began)


def put(service: Service, bodies: list[tuple[bytes, int]]) -> tuple[float, float]:
    """Lines a second, and lines a processor second of the server."""
    shares = [bodies[each::_CONNECTIONS] for each in range(_CONNECTIONS)]
    began, before = time.monotonic(), service.seconds()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        list(pool.map(service.put, shares))
    count = len(bodies) * _BATCH
    return count / (time.monotonic() - began), count / (service.seconds() - before)


def indexed(index: Path) -> int:
    """How many logs are indexed."""
    try:
        with closing(sqlite3.connect(f"{index.as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT line FROM progress").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def steady(service: Service, seconds: int) -> list[float]:
    """Seconds until all lines of each second are found that a function wrote."""
    with ThreadPoolExecutor(seconds) as pool:
        waiting = []
        began = time.monotonic()
        for second in range(seconds):
            for part in range(_PARTS):
                time.sleep(max(began + second + part / _PARTS - time.monotonic(), 0))
                service.write(f"second{second}", _RATE // _PARTS)
            waiting.append(pool.submit(service.found_all, f"second{second}", _RATE))
        return [each.result() for each in waiting]


def grepped(lines: Path) -> float:
    """Milliseconds of grep for the rarer word."""
    began = time.monotonic()
    subprocess.run(["grep", "-c", "timeout", str(lines)], check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began) * 1000


def main() -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(report.machine())
    with tempfile.TemporaryDirectory(prefix="pyfc-bench-") as name:
        scratch = Path(name)
        service, lines = Service(scratch), scratch / "lines"
        try:
            delays = steady(service, options.rounds * 2)
            print(f"logs of functions, {_RATE} lines/s: all found {statistics.median(delays):.2f} s after the last "
                  f"(at worst {max(delays):.2f})")  # fmt: skip
            share = max(options.lines // _BATCH // options.rounds, 1)
            for number in range(options.rounds):
                bodies = list(groups(share, lines))
                least = written(scratch, bodies)
                rate, cost = put(service, bodies)
                print(f"put {number + 1}: {rate:.0f} lines/s, {cost:.0f} a processor second; "
                      f"written and synced alone {least:.0f}: {rate / least:.2f} x")  # fmt: skip
            began = time.monotonic()
            while indexed(scratch / "data" / SLS_INDEX) < share * options.rounds * _BATCH:
                time.sleep(0.2)
            print(f"all is indexed {time.monotonic() - began:.1f} s later")
            service.search()
            times = [service.search()[0] for _ in range(options.rounds * 4)]
            print(f"search: {statistics.median(times):.1f} ms (at best {min(times):.1f}); grep {grepped(lines):.1f} ms")
        finally:
            service.stop()


if __name__ == "__main__":
    main()
