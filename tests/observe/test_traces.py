"""Traces: what callers send of one is gone on from, and spans reach a collector as its own package understands them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import Collector, collecting, values
from pyfc.model.function import Function
from pyfc.model.invocation import Cause, Fault, FaultKind, HttpRequest, Invocation, Kind, Phases, Result, Start, Usage
from pyfc.model.names import LATEST, Target, request_id
from pyfc.model.tracing import SpanContext, from_jaeger, from_w3c, span_id
from pyfc.observe.journal import CallRecord
from pyfc.observe.requests.record import row
from pyfc.observe.traces import exporter as exporter_module
from pyfc.observe.traces.exporter import Destination, Exporter
from pyfc.observe.traces.otlp import rejected
from pyfc.observe.traces.sampling import Sampling
from support import wait_until

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
SENT = f"{TRACE:x}:{SPAN:x}:0:1"
COLD = Start(0.5, "no instance", Phases(0.1, 0.2, 0.3))
NOON = 1_700_006_400.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"00-{TRACE:032x}-{SPAN:016x}-01", SpanContext(TRACE, SPAN, 1)),
        (f"00-{TRACE:032x}-{SPAN:016x}-00", SpanContext(TRACE, SPAN, 0)),
        (f"cc-{TRACE:032x}-{SPAN:016x}-01-what-is-newer", SpanContext(TRACE, SPAN, 1)),
        (f"00-{TRACE:032x}-{SPAN:016x}-01-more", None),
        (f"ff-{TRACE:032x}-{SPAN:016x}-01", None),
        (f"00-{0:032x}-{SPAN:016x}-01", None),
        (f"00-{TRACE:032x}-{0:016x}-01", None),
        (f"00-{TRACE:032X}-{SPAN:016x}-01", None),
        ("", None),
    ],
)
def test_a_traceparent_is_read_as_w3c_says(text: str, found: SpanContext | None) -> None:
    assert from_w3c(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SENT, SpanContext(TRACE, SPAN, 1)),
        ("371d3ff242fcee9:371d3ff242fcee9:0:1", SpanContext(0x371D3FF242FCEE9, 0x371D3FF242FCEE9, 1)),
        ("1:2:3:0", SpanContext(1, 2, 0)),
        ("0:2:0:1", None),
        ("1:2:3", None),
        ("x:2:0:1", None),
    ],
)
def test_a_span_context_is_read_as_jaeger_writes_it(text: str, found: SpanContext | None) -> None:
    assert from_jaeger(text) == found


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.sampled_from([0, 1]))
def test_what_is_written_of_a_trace_is_read_as_it_was(trace: int, span: int, flags: int) -> None:
    context = SpanContext(trace, span, flags)

    assert from_w3c(context.as_w3c()) == from_jaeger(context.as_jaeger()) == context


def invocation(context: str = "", http: HttpRequest | None = None) -> Invocation:
    trace = (context, {"user": "me"}) if context else None
    return Invocation(request_id(), Target("s", "f", LATEST), Kind.EVENT, b"", http, trace)


def test_a_function_goes_on_from_the_span_of_its_invocation() -> None:
    call = Sampling(0.0).continued(invocation(SENT))

    assert call.trace is not None
    found = from_jaeger(call.trace[0])
    assert found == SpanContext(TRACE, span_id("Invocation", call.request_id, 0), 1)
    assert (call.caller_span, call.trace[1]) == (SPAN, {"user": "me"})


def test_what_is_not_sampled_is_passed_on_as_it_came() -> None:
    not_sampled, without = invocation(f"{TRACE:x}:{SPAN:x}:0:0"), invocation()

    assert Sampling(1.0).continued(not_sampled) is not_sampled
    assert Sampling(0.0).continued(without) is without


def test_a_part_of_the_calls_without_a_trace_begins_one() -> None:
    begun = sum(Sampling(0.25).continued(invocation()).trace is not None for _ in range(4000))

    assert 800 < begun < 1200
    assert all(Sampling(1.0).continued(invocation()).trace is not None for _ in range(100))


def test_the_headers_of_an_http_function_tell_of_its_span() -> None:
    w3c = SpanContext(TRACE, SPAN, 1).as_w3c()
    own = {"tracestate": "a=b"}
    for sent, told in (
        ({"traceparent": w3c}, ["traceparent"]),
        ({"uber-trace-id": SENT}, ["traceparent", "uber-trace-id"]),
    ):
        request = HttpRequest("GET", "/", "/", "", [*own.items(), *sent.items()])

        call = Sampling(0.0).continued(invocation(SENT, request))

        assert call.http is not None
        headers = dict(call.http.headers)
        assert sorted(headers) == sorted([*own, *told])
        context = from_w3c(headers["traceparent"])
        assert context is not None
        assert context.span == span_id("Invocation", call.request_id, 0)
        assert "uber-trace-id" not in told or from_jaeger(headers["uber-trace-id"]) == context


def destination(collector: Collector) -> Destination:
    return Destination(collector.url, {"api-key": "k"}, {"cloud.region": "cn-hangzhou"})


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(exporter_module, "_GATHER", 0.05)
    monkeypatch.setattr(exporter_module, "back_off", lambda _: 0.01)
    with collecting() as server:
        yield server


def record(
    duration: float | None = 0.25,
    *,
    context: str = SENT,
    fault: Fault | None = None,
    start: Start | None = None,
    cause: Cause | None = None,
    attempt: int = 0,
) -> dict[str, Any]:
    """What is kept of a call."""
    function = Function(service="s", name="f", runtime="python3", handler="index.handler", initializer="index.init")
    call = invocation(context)._replace(cause=cause, attempt=attempt)
    call = Sampling(1.0).continued(call)
    result = None if duration is None else Result(fault, b"", Usage(duration, 20.0, start is not None, "i", start))
    error, status = ("ResourceExhausted", 429) if duration is None else ("", 200)
    return row(CallRecord(NOON, function, call, status, result, error), "traced", None).record


def seconds(span: Any) -> tuple[float, float]:
    noon = int(NOON) * 10**9
    return (round((span.start_time_unix_nano - noon) / 1e9, 6), round((span.end_time_unix_nano - noon) / 1e9, 6))


def test_the_official_package_reads_what_a_collector_is_sent(collector: Collector) -> None:
    exporter = Exporter(destination(collector))
    told = record(start=COLD, fault=Fault(FaultKind.TIMEOUT, "läte"))

    exporter.offer([told])
    request = collector.received()
    exporter.close()

    [group] = request.resource_spans
    path, headers, _, _ = collector.got[0]
    assert (path, headers["api-key"], headers["Content-Type"]) == ("/v1/traces", "k", "application/x-protobuf")
    assert values(group.resource.attributes) == {
        "service.name": "s/f", "faas.name": "f", "cloud.region": "cn-hangzhou",
    }  # fmt: skip
    [scope] = group.scope_spans
    assert scope.scope.name == "pyfc"
    spans = {span.name: span for span in scope.spans}
    assert {name: seconds(span) for name, span in spans.items()} == {
        "InvokeFunction": (-0.75, 0.0), "ColdStart": (-0.85, -0.55), "PrepareCode": (-0.85, -0.75),
        "RuntimeInitialize": (-0.75, -0.55), "Initializer": (-0.55, -0.25), "Invocation": (-0.25, 0.0),
    }  # fmt: skip
    root, cold = spans["InvokeFunction"], spans["ColdStart"]
    parents = {name: span.parent_span_id for name, span in spans.items()}
    assert parents == {
        "InvokeFunction": SPAN.to_bytes(8, "big"), "ColdStart": root.span_id, "PrepareCode": cold.span_id,
        "RuntimeInitialize": cold.span_id, "Initializer": root.span_id, "Invocation": root.span_id,
    }  # fmt: skip
    assert {span.trace_id for span in scope.spans} == {TRACE.to_bytes(16, "big")}
    assert len({span.span_id for span in scope.spans}) == 6
    assert spans["Invocation"].span_id == span_id("Invocation", told["requestId"], 0).to_bytes(8, "big")
    assert (root.kind, cold.kind, root.status.code, root.status.message) == (2, 1, 2, "FunctionTimeoutError")
    assert (root.flags, cold.flags, cold.status.code) == (0x301, 0x101, 0)
    assert values(root.attributes) == {
        "faas.invocation_id": told["requestId"], "faas.name": "f", "faas.version": "LATEST", "faas.instance": "i",
        "faas.coldstart": True, "faas.max_memory": 128 * 1024 * 1024, "faas.trigger": "other",
        "http.response.status_code": 200, "error.type": "FunctionTimeoutError", "fc.service": "s",
        "fc.qualifier": "LATEST", "fc.retry_count": 0, "fc.wait_reason": "no instance", "fc.memory_mb": 20.0,
    }  # fmt: skip
    assert values(spans["Invocation"].attributes) == {"exception.message": "läte"}
    assert exporter.exported == 6


def test_warm_calls_have_two_spans_refused_ones_one_and_each_run_its_own(collector: Collector) -> None:
    cause = Cause("e", "nightly", 1.5)
    exporter = Exporter(destination(collector))
    exporter.offer([record(), record(None), record(cause=cause), record(context="")])
    request = collector.received()
    exporter.close()

    warm, refused, later, begun = _roots(request)
    assert [len(_children(request, root)) for root in (warm, refused, later, begun)] == [1, 0, 1, 1]
    assert (refused.status.message, later.kind, begun.parent_span_id) == ("ResourceExhausted", 5, b"")
    assert values(later.attributes)["fc.trigger"] == "nightly"
    first, second = (record(attempt=number, cause=cause) for number in (0, 1))
    assert span_id("Invocation", first["requestId"], 0) != span_id("Invocation", first["requestId"], 1)
    assert second["attempt"] == 1


def _roots(request: Any) -> list[Any]:
    return [span for span in request.resource_spans[0].scope_spans[0].spans if span.name == "InvokeFunction"]


def _children(request: Any, root: Any) -> list[Any]:
    return [span for span in request.resource_spans[0].scope_spans[0].spans if span.parent_span_id == root.span_id]


def test_what_is_not_sampled_is_not_exported(collector: Collector) -> None:
    exporter = Exporter(destination(collector))
    exporter.offer([record(context="1:2:0:0"), record()])

    assert len(_roots(collector.received())) == 1
    exporter.close()
    assert len(collector.got) == 1


def test_what_a_collector_cannot_take_now_is_sent_again_and_what_it_refuses_is_dropped(collector: Collector) -> None:
    collector.answers = [(503, b""), (429, b""), (200, b""), (400, b""), (200, b"\x0a\x02\x08\x01")]
    exporter = Exporter(destination(collector))
    for number, expected in enumerate([(2, 0), (2, 2), (3, 3)]):
        exporter.offer([record()])
        wait_until(lambda expected=expected: (exporter.exported, exporter.dropped) == expected, f"batch {number}")
    exporter.close()

    assert [status for *_, status in collector.got] == [503, 429, 200, 400, 200]
    assert len({body for *_, body, _ in collector.got[:3]}) == 1


def test_calls_beyond_a_bound_are_dropped_and_counted_while_nothing_answers(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_module, "_MOST_WAITING", 10)
    monkeypatch.setattr(exporter_module, "_BATCH", 1)
    monkeypatch.setattr(exporter_module, "_LAST", 0.5)
    collector.answers = [(503, b"")] * 100_000
    exporter = Exporter(destination(collector))

    exporter.offer([record() for _ in range(50)])
    began = time.monotonic()
    exporter.close()

    assert exporter.exported == 0
    assert exporter.dropped >= 2 * (50 - 12)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [b"", b"\x0a", b"\x0a\x00", b"\xff" * 20, b"\x12\x02\x08\x01"])
def test_an_answer_that_says_nothing_of_refused_spans_is_understood(answer: bytes) -> None:
    assert rejected(answer) == 0
