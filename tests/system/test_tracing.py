"""A caller's trace reaches the context in every runtime; and how a go1 program's end is told."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from test_build import write

from support import Server, template, wait_until

ENDPOINT = "http://tracing.example/api/traces"
PYTHON = """import json
def handler(event, context):
    tracing = context.tracing
    return json.dumps([tracing.span_context, tracing.span_baggages, tracing.jaeger_endpoint])
def heard(event, context):
    print("HEARD", handler(b"", context))
def web(environ, start_response):
    start_response("200 OK", [])
    return [handler(b"", environ["fc.context"]).encode()]
"""
NODE = """exports.handler = async (event, { tracing }) => JSON.stringify(
  [tracing.openTracingSpanContext || null, tracing.openTracingSpanBaggages, tracing.jaegerEndpoint || null]);
"""
RUBY = """require 'json'
def handler(event, context)
  tracing = context.tracing
  told = [tracing.span_context, tracing.span_baggages, tracing.jaeger_endpoint]
  JSON.generate(told.map { |each| each == '' ? nil : each })
end
"""
PHP = r"""<?php
function handler($event, $context)
{
    $tracing = $context['tracing'];
    $baggages = (object) $tracing['openTracingSpanBaggages'];
    $told = [$tracing['openTracingSpanContext'], $baggages, $tracing['jaegerEndpoint']];
    return json_encode(array_map(fn ($each) => $each === '' ? null : $each, $told));
}
"""
PROGRAM = """#!/usr/bin/env python3
import base64, http.client, json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

def told(headers):
    headers = {name.lower(): value for name, value in headers}
    baggages = json.loads(base64.b64decode(headers.get("x-fc-tracing-opentracing-span-baggages", "e30=")))
    span, jaeger = (headers.get("x-fc-tracing-" + each) for each in ("opentracing-span-context", "jaeger-endpoint"))
    return json.dumps([span, baggages, jaeger]).encode()

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = told(self.headers.items())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

if "FC_RUNTIME_API" not in os.environ:
    HTTPServer(("127.0.0.1", 9000), Handler).serve_forever()
while True:
    api = http.client.HTTPConnection(os.environ["FC_RUNTIME_API"])
    api.request("GET", "/2020-11-11/runtime/invocation/next")
    call = api.getresponse()
    call.read()
    if call.getheader("x-fc-function-type") == os.environ.get("ENDS"):
        print("its last words", flush=True)
        os._exit(3)
    where = "/2020-11-11/runtime/invocation/%s/response" % call.getheader("x-fc-request-id")
    api.request("POST", where, told(call.getheaders()))
    api.getresponse().read()
"""
FUNCTIONS: dict[str, dict[str, Any]] = {
    "python": {"Runtime": "python3"},
    "nodejs": {"Runtime": "nodejs20"},
    "ruby": {"Runtime": "ruby"},
    "php": {"Runtime": "php7.2"},
    "custom": {"Runtime": "custom"},
    "go": {"Runtime": "go1", "Handler": "bootstrap"},
    "web": {"Runtime": "python3", "Handler": "index.web", "http": ["GET"]},
    "heard": {"Runtime": "python3", "Handler": "index.heard"},
    "init": {
        "Runtime": "go1", "Handler": "bootstrap", "Initializer": "init", "Timeout": 10,
        "EnvironmentVariables": {"ENDS": "1"},
    },
    "call": {"Runtime": "go1", "Handler": "bootstrap", "Timeout": 10, "EnvironmentVariables": {"ENDS": "0"}},
}  # fmt: skip
PROGRAMS = {"nodejs": "node", "ruby": "ruby", "php": "php"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("traced")
    files = {"index.py": PYTHON, "index.js": NODE, "index.rb": RUBY, "index.php": PHP, "bootstrap": PROGRAM}
    write(folder / "app", {**files, "template.yml": template(FUNCTIONS)})
    (folder / "app/bootstrap").chmod(0o755)
    found = Server(folder / "app", folder / "data")
    yield found
    found.stop()


def tracing(server: Server, function: str, **headers: str) -> list[Any]:
    """Span context, baggage and the address of Jaeger, as the function sees them."""
    if shutil.which(PROGRAMS.get(function, "sh")) is None:
        pytest.skip(f"there is no {PROGRAMS[function]} here")
    sent = {f"X-Fc-Tracing-{name.replace('_', '-')}": value for name, value in headers.items()}
    if function == "web":
        answer = server.request("GET", "/2016-08-15/proxy/demo/web/", None, sent)
    else:
        answer = server.invoke(f"demo/{function}", b"", **sent)
    assert answer.status == 200, answer.body
    found: list[Any] = answer.json
    return found


@pytest.mark.parametrize("function", ["python", "nodejs", "ruby", "php", "custom", "go", "web"])
def test_what_a_caller_sends_of_a_trace_reaches_the_function(server: Server, function: str) -> None:
    span, who = {"Opentracing_Span_Context": "1:2:0:1"}, {"Opentracing_Span_Baggage_who": "ada"}

    assert tracing(server, function) == [None, {}, None]
    assert tracing(server, function, **span) == ["1:2:0:1", {}, None]
    assert tracing(server, function, **span, **who) == ["1:2:0:1", {"who": "ada"}, None]
    for _ in range(3):  # the same head is taken apart once
        assert tracing(server, function, **who) == [None, {"who": "ada"}, None], "baggage without a span is baggage too"
    assert tracing(server, function) == [None, {}, None]


@pytest.mark.parametrize("function", ["python", "nodejs", "custom", "go"])
def test_a_function_that_is_called_later_has_the_trace_of_the_request_that_has_asked_for_it(
    server: Server, function: str
) -> None:
    if shutil.which(PROGRAMS.get(function, "sh")) is None:
        pytest.skip(f"there is no {PROGRAMS[function]} here")
    place = f"/2016-08-15/services/demo/functions/{function}/stateful-async-invocations"
    trace = {"X_Fc_Tracing_Opentracing_Span_Context": "1:2:0:1", "X_Fc_Tracing_Opentracing_Span_Baggage_who": "ada"}

    def told(name: str, **sent: str) -> Any:
        later = {"X_Fc_Invocation_Type": "Async", "X_Fc_Stateful_Async_Invocation_Id": name}
        assert server.invoke(f"demo/{function}", b"", **later, **sent).status == 202
        path = f"{place}/{name}"
        wait_until(lambda: server.manage("GET", path).json["status"] == "Succeeded", "the call has ended")
        return json.loads(server.manage("GET", path).json["returnPayload"])

    assert told("traced", **trace) == ["1:2:0:1", {"who": "ada"}, None]
    assert told("alone") == [None, {}, None]


@pytest.mark.parametrize("way", ["function", "topic", "bus"])
def test_what_an_asynchronous_call_leads_to_has_its_trace(server: Server, way: str) -> None:
    api, account = "/2016-08-15/services/demo/functions", "cn-hangzhou:1234567890123456"
    arn, trigger = {
        "function": ("acs:fc:::services/demo/functions/heard", {}),
        "topic": (f"acs:mns:{account}:/topics/traced", {
            "triggerType": "mns_topic", "sourceArn": f"acs:mns:{account}:/topics/traced",
            "triggerConfig": {"topicName": "traced"},
        }),
        "bus": (f"acs:eventbridge:{account}:eventbus/default", {
            "triggerType": "eventbridge", "triggerConfig": {"eventRuleFilterPattern": '{"source": ["acs.fc"]}'},
        }),
    }[way]  # fmt: skip
    if trigger:
        assert server.manage("POST", f"{api}/heard/triggers", {"triggerName": way, **trigger}).status == 200
    told = {"destinationConfig": {"onSuccess": {"destination": arn}}}
    assert server.manage("PUT", f"{api}/python/async-invoke-config", told).status == 200
    trace = {"X_Fc_Tracing_Opentracing_Span_Context": f"{way}:2:0:1", "X_Fc_Tracing_Opentracing_Span_Baggage_who": way}
    try:
        assert server.invoke("demo/python", b"", X_Fc_Invocation_Type="Async", **trace).status == 202
        heard = json.dumps([f"{way}:2:0:1", {"who": way}, None])
        wait_until(lambda: any(f"HEARD {heard}" in each.get("log", "") for each in server.records), "the last call")
    finally:
        server.manage("DELETE", f"{api}/python/async-invoke-config")


@pytest.mark.parametrize("function", ["python", "nodejs", "ruby", "php", "custom", "go"])
def test_a_function_knows_where_its_service_sends_traces(server: Server, function: str) -> None:
    tracing(server, function)
    config: dict[str, Any] = {"tracingConfig": {"type": "Jaeger", "params": {"endpoint": ENDPOINT}}}
    try:
        assert server.manage("PUT", "/2016-08-15/services/demo", config).status == 200
        assert tracing(server, function) == [None, {}, ENDPOINT]
    finally:
        assert server.manage("PUT", "/2016-08-15/services/demo", {"tracingConfig": {}}).status == 200
    assert tracing(server, function) == [None, {}, None]


@pytest.mark.parametrize("when", ["init", "call"])
def test_a_go1_program_that_ends_has_the_same_error_in_its_initializer_and_in_a_call(server: Server, when: str) -> None:
    answer = server.invoke(f"demo/{when}", b"", X_Fc_Log_Type="Tail")

    assert (answer.status, answer.headers["X-Fc-Error-Type"]) == (200, "UnhandledInvocationError")
    assert answer.json["errorMessage"].startswith("Process exited unexpectedly before completing request (duration: ")
    log = base64.b64decode(answer.headers["X-Fc-Log-Result"]).decode()
    assert "its last words\nthe program exited with status 3\n" in log


W3C = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
JAEGER = "4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1"


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": W3C},
        {"traceparent": W3C, "baggage": "user=me%20too;kind=x"},
        {"uber-trace-id": JAEGER.replace(":", "%3A"), "uberctx-user": "me%20too"},
    ],
    ids=["w3c", "w3c with baggage", "jaeger"],
)
def test_traces_of_w3c_and_jaeger_reach_the_function(server: Server, headers: dict[str, str]) -> None:
    baggage = {"user": "me too"} if len(headers) > 1 else {}

    assert server.invoke("demo/python", b"", **headers).json[:2] == [JAEGER, baggage]
    assert server.invoke("demo/custom", b"", **headers).json[:2] == [JAEGER, baggage]
