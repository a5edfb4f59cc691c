"""A collector of traces that notes what it is sent, read by OTLP's own package."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support import wait_until


class _Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, b"")  # type: ignore[attr-defined]
        self.server.got.append((self.path, dict(self.headers), body, status))  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        return


class Collector(http.server.ThreadingHTTPServer):
    """Notes what it is sent."""

    got: list[tuple[str, dict[str, str], bytes, int]]
    answers: list[tuple[int, bytes]]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Collector)
        self.got, self.answers = [], []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    def received(self, number: int = 0) -> Any:
        """A request, which may still be on its way."""
        trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        wait_until(lambda: len(self.got) > number, "a request")
        return trace_service.ExportTraceServiceRequest.FromString(self.got[number][2])


@contextmanager
def collecting() -> Iterator[Collector]:
    """One that runs."""
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
