"""The object store: how fast it puts and gets, beside moto's S3 server and beside what the machine itself can do.

    python benchmarks/object_store.py [--rounds N]

1. small: puts and gets a second of 4 KB at 8 connections, beside moto's S3 server (which keeps objects in memory;
   pyfc's are on the disk, synced, before the answer).
2. get: MB/s of an object of 8 MB, beside a loopback server that only sends the same file by sendfile.
3. put: MB/s of objects of 8 MB, beside a program that does nothing but take their MD5, write and sync them.
4. memory: resident MB while one object of `--large` MB is put and got, less those of before.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import psutil
import report
from run import CACHE

from pyfc.auth.keys import Key, Keys
from servers import free_port, listening

_BUCKET = "benchmark"
_SMALL, _LARGE = 4096, 8 * 1024 * 1024
_CONNECTIONS = 8
_DEADLINE = 60.0
_PIECE = 1024 * 1024
_MOTOS = (
    "Authorization: AWS4-HMAC-SHA256 Credential=a/20261127/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0\r\n"
)
"""What moto wants to see of a signature, which it does not check."""
_MOTO = "moto[s3,server]==5.1.4"


class Store:
    """How a request is addressed to a server of objects. `key`: what it is signed with, if it is."""

    def __init__(self, port: int, key: Key | None) -> None:
        self.port = port
        self.key = key

    def path(self, method: str, resource: str) -> str:
        """The path of a request, signed if the server has keys (OSS's first signature, in the URL)."""
        if self.key is None:
            return resource
        expires = int(time.time()) + 3600
        text = f"{method}\n\n\n{expires}\n{resource if resource != f'/{_BUCKET}' else resource + '/'}"
        made = hmac.new(self.key.secret.encode(), text.encode(), hashlib.sha1).digest()
        signature = quote(base64.b64encode(made).decode(), safe="")
        return f"{resource}?OSSAccessKeyId={self.key.id}&Expires={expires}&Signature={signature}"

    def ask(self, method: str, resource: str, body: bytes = b"") -> bytes:
        """The body of one answer. Raises RuntimeError for an error."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_DEADLINE)
        try:
            connection.request(method, self.path(method, resource), body)
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{method} {resource}: {answer.status} {found[:300]!r}")
        return found


class Program(Store):
    """A server of objects that was started here, with a bucket."""

    def __init__(self, command: list[str], port: int, scratch: Path, key: Callable[[], Key | None]) -> None:
        self._log = (scratch / f"store-{port}.log").open("wb")
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT, cwd="/")
        listening(port)
        super().__init__(port, key())
        self.ask("PUT", f"/{_BUCKET}")

    def memory(self) -> float:
        """Resident MB of the server's own process."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(_DEADLINE)
        self._log.close()


def pyfc(scratch: Path) -> Program:
    """pyfc without functions."""
    port, data, folder = free_port(), scratch / "data", scratch / "project"
    folder.mkdir()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet"]
    return Program([*command, "--data-dir", str(data)], port, scratch, lambda: Keys(data).all()[0])


def moto(scratch: Path) -> Program:
    """moto's S3 server, which closes each connection after one answer."""
    port = free_port()
    python = CACHE / "moto" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(CACHE / "moto")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", _MOTO], check=True)
    command = [str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return Program(command, port, scratch, lambda: None)


def request(method: str, path: str, body: bytes) -> bytes:
    """A request as one piece."""
    known = "" if "?" in path else _MOTOS
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{known}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answered(connection: socket.socket) -> bool:
    """Read one answer with a length; whether the connection may be used again. Raises RuntimeError for an error."""
    held = b""
    while b"\r\n\r\n" not in held:
        piece = connection.recv(_PIECE)
        if not piece:
            raise RuntimeError("the server closed the connection")
        held += piece
    head, _, body = held.lower().partition(b"\r\n\r\n")
    if not head.startswith((b"http/1.1 200", b"http/1.0 200")):
        raise RuntimeError(head.decode("latin-1"))
    [length] = [int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    left = length - len(body)
    while left:
        left -= len(connection.recv(min(left, _PIECE)))
    return b"connection: close" not in head


def connect(port: int) -> socket.socket:
    """A connection that sends at once."""
    connection = socket.create_connection(("127.0.0.1", port), _DEADLINE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def converse(port: int, requests: Iterator[bytes]) -> int:
    """Send requests, each after the answer to the one before, over one connection if the server keeps it; how many
    there were.
    """
    count, connection = 0, connect(port)
    try:
        for each in requests:
            connection.sendall(each)
            count += 1
            if not answered(connection):
                connection.close()
                connection = connect(port)
    finally:
        connection.close()
    return count


def small(store: Store, method: str, count: int, prefix: str) -> float:
    """Requests a second of 4 KB objects at eight connections; `count`: of each connection."""
    body = os.urandom(_SMALL) if method == "PUT" else b""
    shares = [
        [request(method, store.path(method, f"/{_BUCKET}/{prefix}/{number}-{each}"), body) for each in range(count)]
        for number in range(_CONNECTIONS)
    ]
    began = time.monotonic()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        done = sum(pool.map(lambda share: converse(store.port, iter(share)), shares))
    return done / (time.monotonic() - began)


def got(port: int, path: str, times: int) -> float:
    """MB/s of an object of 8 MB that is got so many times over one connection."""
    began = time.monotonic()
    converse(port, (request("GET", path, b"") for _ in range(times)))
    return _LARGE * times / 1e6 / (time.monotonic() - began)


class Sendfile:
    """A server of one file that reads a head and sends the file."""

    def __init__(self, file: Path) -> None:
        self.port = free_port()
        code = (
            "import os, socket, sys\n"
            "file = os.open(sys.argv[2], os.O_RDONLY); size = os.fstat(file).st_size\n"
            "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
            "while True:\n"
            "    connection, _ = server.accept()\n"
            "    while connection.recv(65536):\n"
            "        connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n' % size)\n"
            "        place = 0\n"
            "        while place < size:\n"
            "            place += os.sendfile(connection.fileno(), file, place, size - place)\n"
        )
        self._process = subprocess.Popen([sys.executable, "-c", code, str(self.port), str(file)])
        listening(self.port)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def put(store: Store, times: int, prefix: str) -> float:
    """MB/s of objects of 8 MB, one after the other."""
    body = os.urandom(_LARGE)
    sent = [request("PUT", store.path("PUT", f"/{_BUCKET}/{prefix}/{each}"), body) for each in range(times)]
    began = time.monotonic()
    converse(store.port, iter(sent))
    return _LARGE * times / 1e6 / (time.monotonic() - began)


def written(folder: Path, times: int) -> float:
    """MB/s of the least that a durable put is: MD5, write, sync."""
    body = os.urandom(_LARGE)
    folder.mkdir()
    began = time.monotonic()
    for each in range(times):
        hashlib.md5(body, usedforsecurity=False).hexdigest()
        with (folder / str(each)).open("wb", buffering=0) as file:
            file.write(body)
            os.fsync(file.fileno())
    return _LARGE * times / 1e6 / (time.monotonic() - began)


def grown(store: Program, megabytes: int) -> tuple[float, float]:
    """MB that the server grows by at most while it takes, and while it gives, an object of so many MB."""
    piece, size, most, done = os.urandom(_PIECE), megabytes * _PIECE, 0.0, threading.Event()
    before = store.memory()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, store.memory() - before)

    found = []
    for method in ("PUT", "GET"):
        most = 0.0
        done.clear()
        watcher = threading.Thread(target=watch)
        watcher.start()
        with socket.create_connection(("127.0.0.1", store.port), _DEADLINE) as connection:
            length = size if method == "PUT" else 0
            path = store.path(method, f"/{_BUCKET}/large")
            connection.sendall(
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode()
            )
            for _ in range(length // _PIECE):
                connection.sendall(piece)
            answered(connection)
        done.set()
        watcher.join()
        found.append(most)
    return found[0], found[1]


def compare(name: str, ours: list[float], theirs: list[float], unit: str, other: str) -> None:
    """Print the medians, and the median of the ratios of each round."""
    ratio = statistics.median(one / two for one, two in zip(ours, theirs, strict=True))
    spread = ", ".join(f"{one / two:.2f}" for one, two in zip(ours, theirs, strict=True))
    print(
        f"{name:12} pyfc {statistics.median(ours):8.0f} {unit}, {other} {statistics.median(theirs):8.0f} {unit}: "
        f"{ratio:.2f} x (rounds: {spread})"
    )


def main() -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=1024, help="MB of the object that memory is looked at with")
    options = parser.parse_args()
    print(report.machine())
    with tempfile.TemporaryDirectory(prefix="pyfc-bench-") as name:
        scratch = Path(name)
        ours, theirs = pyfc(scratch), moto(scratch)
        file = scratch / "large"
        file.write_bytes(os.urandom(_LARGE))
        ours.ask("PUT", f"/{_BUCKET}/object", file.read_bytes())
        bare = Sendfile(file)
        figures: dict[str, list[float]] = {}
        try:
            for number in range(options.rounds):
                for who, store in (("pyfc", ours), ("moto", theirs)):
                    for method in ("PUT", "GET"):
                        rate = small(store, method, 50, f"small/{number}")
                        figures.setdefault(f"{who} {method}", []).append(rate)
                path = ours.path("GET", f"/{_BUCKET}/object")
                figures.setdefault("pyfc get", []).append(got(ours.port, path, 20))
                figures.setdefault("sendfile", []).append(got(bare.port, "/", 20))
                figures.setdefault("pyfc put", []).append(put(ours, 10, f"large/{number}"))
                figures.setdefault("written", []).append(written(scratch / f"written-{number}", 10))
            compare("4 KB put", figures["pyfc PUT"], figures["moto PUT"], "/s", "moto")
            compare("4 KB get", figures["pyfc GET"], figures["moto GET"], "/s", "moto")
            compare("8 MB get", figures["pyfc get"], figures["sendfile"], "MB/s", "sendfile")
            compare("8 MB put", figures["pyfc put"], figures["written"], "MB/s", "MD5, write, sync")
            taken, given = grown(ours, options.large)
            print(f"{options.large} MB     {taken:.0f} MB more memory while it is put, {given:.0f} while it is got")
        finally:
            for server in (ours, theirs, bare):
                server.stop()


if __name__ == "__main__":
    main()
