"""The message service: how many messages a second are sent and received, beside moto's SQS server.

    python benchmarks/message_service.py [--rounds N] [--messages N]

Each of 8 connections sends messages of 1 KB, then receives them, one a request, each request after the answer to the
one before. pyfc's messages are on the disk, synced, before the answer, and its requests are signed and checked; moto
keeps them in memory and checks nothing.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

import report
from object_store import compare, connect
from run import CACHE

from pyfc.auth.keys import Key, Keys
from servers import free_port, listening

_CONNECTIONS = 8
_SIZE = 1024
_DEADLINE = 60.0
_PIECE = 65536
_MOTO = "moto[sqs,server]==5.1.4"
_AMZ = (
    "Authorization: AWS4-HMAC-SHA256 Credential=a/20261127/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"
)
"""What moto wants to see of a signature, which it does not check."""


class Service:
    """A server of messages that was started here, with a queue."""

    def __init__(self, command: Sequence[str], port: int, scratch: Path) -> None:
        self._log = (scratch / f"service-{port}.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT, cwd="/")
        self.port = port
        listening(port)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(_DEADLINE)
        self._log.close()


def framed(method: str, path: str, lines: Sequence[str], body: bytes) -> bytes:
    """A request as one piece."""
    head = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def signed(key: Key, method: str, path: str, body: bytes = b"") -> bytes:
    """A request to MNS."""
    date, kind = formatdate(usegmt=True), "text/xml" if body else ""
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).hexdigest().encode()).decode() if body else ""
    text = f"{method}\n{digest}\n{kind}\n{date}\nx-mns-version:2015-06-06\n{path}"
    made = base64.b64encode(hmac.new(key.secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
    lines = [f"Date: {date}", "x-mns-version: 2015-06-06", f"Authorization: MNS {key.id}:{made}"]
    return framed(method, path, [*lines, *([f"Content-MD5: {digest}", f"Content-Type: {kind}"] if body else [])], body)


def asked_of_sqs(action: str, **fields: str | int) -> bytes:
    """A request to SQS."""
    lines = [f"X-Amz-Target: AmazonSQS.{action}", "Content-Type: application/x-amz-json-1.0", _AMZ]
    return framed("POST", "/", lines, json.dumps(fields).encode())


def answered(connection: socket.socket, request: bytes) -> tuple[bool, bool]:
    """Send a request and read its answer: whether it was done, and whether the connection may be used again."""
    connection.sendall(request)
    held = b""
    while b"\r\n\r\n" not in held:
        piece = connection.recv(_PIECE)
        if not piece:
            raise RuntimeError("the server closed the connection")
        held += piece
    head, _, body = held.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    left = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0) - len(body)
    while left > 0:
        left -= len(connection.recv(min(left, _PIECE)))
    return lines[0].split(b" ")[1] in {b"200", b"201"}, b"connection: close" not in lines


def converse(port: int, requests: Sequence[bytes]) -> int:
    """Requests over one connection if the server keeps it; how many were done."""
    connection, done = connect(port), 0
    try:
        for request in requests:
            is_done, is_kept = answered(connection, request)
            done += is_done
            if not is_kept:
                connection.close()
                connection = connect(port)
    finally:
        connection.close()
    return done


def rate(port: int, make: Callable[[], bytes], count: int) -> float:
    """Requests a second that are done, of so many at each connection: moto fails some of those that come at once."""
    shares = [[make() for _ in range(count)] for _ in range(_CONNECTIONS)]
    began = time.monotonic()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        done = sum(pool.map(lambda share: converse(port, share), shares))
    return done / (time.monotonic() - began)


def pyfc(scratch: Path) -> tuple[Service, Callable[[], bytes], Callable[[], bytes]]:
    """pyfc without functions, and how to send to it and receive."""
    port, data, folder = free_port(), scratch / "data", scratch / "project"
    folder.mkdir()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet"]
    service = Service([*command, "--data-dir", str(data)], port, scratch)
    key = Keys(data).all()[0]
    converse(port, [signed(key, "PUT", "/queues/q", b"<Queue/>")])
    body = b"<Message><MessageBody>" + base64.b64encode(os.urandom(_SIZE * 3 // 4)) + b"</MessageBody></Message>"
    path = "/queues/q/messages"
    return service, lambda: signed(key, "POST", path, body), lambda: signed(key, "GET", path)


def moto(scratch: Path) -> tuple[Service, Callable[[], bytes], Callable[[], bytes]]:
    """moto's SQS server, and the same."""
    port, home = free_port(), CACHE / "moto-sqs"
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", _MOTO], check=True)
    service = Service([str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, scratch)
    converse(port, [asked_of_sqs("CreateQueue", QueueName="q")])
    url = f"http://127.0.0.1:{port}/123456789012/q"
    sent = asked_of_sqs("SendMessage", QueueUrl=url, MessageBody=base64.b64encode(os.urandom(_SIZE * 3 // 4)).decode())
    got = asked_of_sqs("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=1)
    return service, lambda: sent, lambda: got


def main() -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=100, help="of each connection in a round")
    options = parser.parse_args()
    print(report.machine())
    with tempfile.TemporaryDirectory(prefix="pyfc-bench-") as name:
        both = {"pyfc": pyfc(Path(name)), "moto": moto(Path(name))}
        figures: dict[str, list[float]] = {}
        try:
            for _ in range(options.rounds):
                for who, (service, *requests) in both.items():
                    for what, make in zip(("send", "receive"), requests, strict=True):
                        figures.setdefault(f"{who} {what}", []).append(rate(service.port, make, options.messages))
            for what in ("send", "receive"):
                compare(what, figures[f"pyfc {what}"], figures[f"moto {what}"], "/s", "moto")
        finally:
            for service, *_ in both.values():
                service.stop()


if __name__ == "__main__":
    main()
