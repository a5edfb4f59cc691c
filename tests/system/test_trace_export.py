"""A server's calls, as a collector of traces is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector import Collector, collecting, values
from pyfc.model.tracing import from_w3c
from support import Server, pyfc, template, wait_until

SOURCE = """import json
def handler(event, context):
    if event == b"fail":
        raise ValueError("no money")
    return json.dumps([context.request_id, context.tracing.span_context])
def web(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps([environ["fc.context"].request_id, environ.get("HTTP_TRACEPARENT")]).encode()]
"""
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    functions = {"f": {"Runtime": "python3"}, "web": {"Runtime": "python3", "Handler": "index.web", "http": ["GET"]}}
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "index.py").write_text(SOURCE)
    (folder / "template.yml").write_text(template(functions))
    return folder


def spans_of(collector: Collector, count: int) -> list[Any]:
    """All spans that have come, as soon as there are so many."""

    def found() -> list[Any]:
        requests = [collector.received(number) for number in range(len(collector.got))]
        return [
            span
            for request in requests
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    wait_until(lambda: len(found()) >= count, f"{count} spans")
    return found()


def test_functions_go_on_from_the_span_of_their_call(folder: Path, tmp_path: Path, collector: Collector) -> None:
    base = collector.url.removesuffix("/v1/traces")
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": base,
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20key",
        "OTEL_TRACES_SAMPLER_ARG": "0",
    }
    server = Server(folder, tmp_path / "data", **given)
    try:
        number, context = server.invoke("demo/f", b"", **SENT).json
        other, parent = server.request("GET", "/2016-08-15/proxy/demo/web/", None, SENT).json
        assert server.invoke("demo/f").json[1] in {"", None}  # none begins
        assert server.invoke("demo/f", b"fail", **SENT).status == 200
        assert server.manage("GET", f"/pyfc/calls/{number}").json["traceId"] == TRACE
        assert f"trace {TRACE}" in pyfc("why", number, "--endpoint", server.endpoint)[1]
        spans = spans_of(collector, 5 + 5 + 2)
        wait_until(
            lambda: server.manage("GET", "/pyfc/calls").json["spans"] == {"exported": 12, "dropped": 0}, "12 spans"
        )
    finally:
        server.stop()

    assert collector.got[0][1]["api-key"] == "a key"
    roots = {values(each.attributes)["faas.invocation_id"]: each for each in spans if each.name == "InvokeFunction"}
    handlers = {each.parent_span_id: each for each in spans if each.name == "Invocation"}
    assert len(roots) == len(handlers) == 3
    assert {each.trace_id.hex() for each in spans} == {TRACE}
    assert {each.parent_span_id.hex() for each in roots.values()} == {SPAN}
    assert context.split(":")[:2] == [TRACE, f"{int.from_bytes(handlers[roots[number].span_id].span_id, 'big'):x}"]
    told = from_w3c(parent)
    assert told is not None
    assert told.span.to_bytes(8, "big") == handlers[roots[other].span_id].span_id
    assert [each.status.message for each in roots.values() if each.status.code] == ["FunctionUnhandledError"]


def test_calls_without_a_trace_begin_one_and_what_waits_is_sent_at_the_end(
    folder: Path, tmp_path: Path, collector: Collector
) -> None:
    server = Server(folder, tmp_path / "data", PYFC_OTLP_ENDPOINT=collector.url)
    number, context = server.invoke("demo/f").json
    assert server.stop()[0] == 0

    spans = spans_of(collector, 5)

    assert {each.trace_id.hex() for each in spans} == {number.replace("-", "")}
    assert context.startswith(number.replace("-", "").lstrip("0"))
    assert [each.parent_span_id for each in spans if each.name == "InvokeFunction"] == [b""]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PYFC_OTLP_ENDPOINT", "localhost:4318", "otlp_endpoint can be no endpoint"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "which pyfc does not speak"),
        ("PYFC_TRACE_RATIO", "2", "from 0 to 1"),
        ("PYFC_OTLP_HEADERS", "secret", "NAME=VALUE"),
    ],
)
def test_what_cannot_be_exported_to_is_told_at_the_start(
    folder: Path, tmp_path: Path, name: str, value: str, said: str
) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", name: value}

    status, _, errors = pyfc("serve", str(folder), "--data-dir", str(tmp_path / "data"), "--port", "0", **given)

    assert status == 2
    assert said in errors
    assert "secret" not in errors
