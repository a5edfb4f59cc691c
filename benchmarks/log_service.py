"""The log service: how fast it takes logs in and finds them, beside what the machine itself can do in the same run.

    python benchmarks/log_service.py [--lines N] [--rounds N]

1. put: lines a second of PutLogs (500 lines each, lz4, signed, 8 connections; each answer is durable), beside a program
   that does nothing but write the same bodies to a file and sync each.
2. search: milliseconds for the newest 100 logs of a query of two words, the rarer in 1 per cent of all, when all are
   indexed, beside grep for the rarer word in the same lines.
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


class Service:
    """A server of pyfc, with a logstore."""

    def __init__(self, scratch: Path) -> None:
        self.port, data, folder = free_port(), scratch / "data", scratch / "project"
        folder.mkdir()
        command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(self.port), "--quiet"]
        self.process = subprocess.Popen([*command, "--data-dir", str(data)], cwd="/")
        listening(self.port)
        self._key: Key = Keys(data).all()[0]
        self.ask(self.connect(), "POST", "/", json.dumps({"projectName": "bench-logs"}).encode())
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
