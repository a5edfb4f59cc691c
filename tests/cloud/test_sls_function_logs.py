"""What functions write is in the logstore that their logConfig names, and is found there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.sls_client import Client
from pyfc.auth.keys import Keys
from pyfc.cloud.sls.groups import Labels, Log, write_group
from support import Server, pyfc, time_passed, wait_until, zipped

_GROUP = write_group(Labels(), [Log(1, 0, [("again", "1")])])
LOOP = f"""
import base64, hashlib, hmac, http.client
from email.utils import formatdate

BODY = {_GROUP!r}

def handler(event, context):
    key = context.credentials
    headers = {{"x-log-apiversion": "0.6.0", "x-log-bodyrawsize": str(len(BODY)), "x-log-signaturemethod": "hmac-sha1",
               "x-acs-security-token": key.security_token}}
    kind, date, digest = "application/x-protobuf", formatdate(usegmt=True), hashlib.md5(BODY).hexdigest().upper()
    told = [f"{{name}}:{{value}}" for name, value in sorted(headers.items())]
    text = "\\n".join(["POST", digest, kind, date, *told, "/logstores/circle/shards/lb"])
    signature = base64.b64encode(hmac.new(key.access_key_secret.encode(), text.encode(), hashlib.sha1).digest())
    headers |= {{"Host": "shop-logs.cn-hangzhou.log.aliyuncs.com", "Content-Type": kind, "Content-MD5": digest,
                "Date": date, "Authorization": f"LOG {{key.access_key_id}}:{{signature.decode()}}"}}
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    connection.request("POST", "/logstores/circle/shards/lb", BODY, headers)
    print("put", connection.getresponse().status)
"""
PROJECT, LOGSTORE = "shop-logs", "functions"
CODE = {"zipFile": zipped({"index.py": """
import os
def handler(event, context):
    print("processing order", event.decode())
    if event == b"bad":
        raise ValueError("out of stock")
    return b"ok"
"""})}  # fmt: skip
LOG_CONFIG = {"project": PROJECT, "logstore": LOGSTORE, "enableRequestMetrics": True}
EVERYTHING = {**LOG_CONFIG, "enableInstanceMetrics": True}
FC3 = {"functionName": "watched", "runtime": "python3.10", "handler": "index.handler"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    function = {"functionName": "pay", "runtime": "python3", "handler": "index.handler", "code": CODE}
    for service, config in (("shop", LOG_CONFIG), ("silent", {})):
        made = found.manage("POST", "/2016-08-15/services", {"serviceName": service, "logConfig": config})
        assert made.status == 200, made.body
        made = found.manage("POST", f"/2016-08-15/services/{service}/functions", function)
        assert made.status == 200, made.body
    newer = {**function, "functionName": "newer", "logConfig": LOG_CONFIG, "runtime": "python3.10"}
    made = found.manage("POST", "/2023-03-30/functions", newer)
    assert made.status == 200, made.body
    yield found
    found.stop()


def _call(server: Server, path: str, event: bytes) -> str:
    """Call a function; the request's id."""
    headers = server.signed_headers("POST", path, {})
    answer = server.request("POST", path, event, headers)
    return str(answer.headers["x-fc-request-id"])


def _found(server: Server, query: str, topic: str = "") -> list[dict[str, Any]]:
    body = {"from": int(time.time()) - 600, "to": int(time.time()) + 600, "query": query, "line": 100, "topic": topic}
    answer = Client(server, PROJECT)("POST", f"/logstores/{LOGSTORE}/logs", body=body)
    found: list[dict[str, Any]] = answer.json["data"] if answer.status == 200 else []
    return found


def test_the_lines_of_a_call_are_found_with_its_markers(server: Server) -> None:
    number = _call(server, "/2016-08-15/services/shop/functions/pay/invocations", b"bad")
    lines = wait_until(lambda: _found(server, f'__topic__:"FCLogs:shop/pay" and "{number}"'), "the log")
    (order,) = _found(server, "order and bad")

    assert [line["message"] for line in lines] == [
        f"FC Invoke Start RequestId: {number}",
        f"FC Invoke End RequestId: {number}, Error: Unhandled function error",
    ]
    wanted = {
        "message": "processing order bad", "__topic__": "FCLogs:shop/pay", "serviceName": "shop",
        "functionName": "pay", "qualifier": "LATEST", "versionId": "LATEST",
    }  # fmt: skip
    assert {name: order[name] for name in wanted} == wanted
    assert order["instanceID"]
    assert any("ValueError" in line["message"] for line in _found(server, "stock"))


def test_older_clients_find_them_by_the_names_of_service_and_function(server: Server) -> None:
    number = _call(server, "/2016-08-15/services/shop/functions/pay/invocations", b"older")
    lines = wait_until(lambda: _found(server, f'pay and "{number}"', "shop"), "the log")

    assert {line["__topic__"] for line in lines} == {"FCLogs:shop/pay"}
    assert not _found(server, "pay", "sho")
    assert not _found(server, "pay", "silent")


def test_s_logs_finds_lines_by_function_request_instance_and_word(server: Server) -> None:
    number = _call(server, "/2023-03-30/functions/newer/invocations", b"by s")
    row = wait_until(lambda: _as_s_logs(server, f'__topic__:"FCLogs:newer" and "{number}"'), "the log")[0]
    instance = row["instanceID"]
    either = f'(__topic__:"FCLogs:newer" or __topic__:"FCInstanceEvents:/newer") and "{instance}"'
    word = _as_s_logs(server, '__topic__:"FCLogs:newer" and processing and "by s"')

    assert row["message"] == f"FC Invoke Start RequestId: {number}"
    assert {each["instanceID"] for each in _as_s_logs(server, either)} == {instance}
    assert {each["message"] for each in word} == {"processing order by s"}
    assert _as_s_logs(server, '__topic__:"FCLogs:newer" and "no such request"') == []


def _as_s_logs(server: Server, query: str) -> list[dict[str, Any]]:
    """What Serverless Devs' component fc3 asks; it asks again until the headers say that it has everything."""
    now = int(time.time())
    asked = {"type": "log", "from": now - 3600, "to": now + 1, "query": query}
    answer = Client(server, PROJECT)("GET", f"/logstores/{LOGSTORE}", asked)
    if answer.status != 200:  # the project is made with the first log
        return []
    assert answer.headers["x-log-progress"] == "Complete"
    found: list[dict[str, Any]] = answer.json
    assert answer.headers["x-log-count"] == str(len(found))
    return found


def test_calls_are_counted_by_sql(server: Server) -> None:
    number = _call(server, "/2016-08-15/services/shop/functions/pay/invocations", b"good")
    query = f'__topic__:"FCRequestMetrics:shop/pay" and requestId:"{number}"'
    (row,) = wait_until(lambda: _found(server, query), "the metrics")
    counted = _found(
        server, "__topic__:FCRequestMetrics | select functionName, count(1) as calls group by functionName"
    )

    assert (row["hasFunctionError"], row["errorType"], row["memoryMB"], row["statusCode"]) == (
        "false",
        "",
        "128",
        "200",
    )
    assert float(row["durationMs"]) > 0
    assert any(each["functionName"] == "pay" for each in counted)


def test_a_function_without_a_service_has_a_log_config_of_its_own(server: Server) -> None:
    _call(server, "/2023-03-30/functions/newer/invocations", b"seven")
    (row,) = wait_until(lambda: _found(server, "order and seven"), "the log")

    assert (row["__topic__"], row["serviceName"], row["functionName"]) == ("FCLogs:newer", "", "newer")


def test_a_row_of_a_call_tells_what_it_took(server: Server) -> None:
    number = _call(server, "/2016-08-15/services/shop/functions/pay/invocations", b"good")
    (row,) = wait_until(lambda: _found(server, f'__topic__:"FCRequestMetrics:shop/pay" and {number}'), "the metrics")
    took, ran = float(row["invokeFunctionLatencyMs"]), float(row["durationMs"])

    assert took >= ran > 0
    assert int(row["invocationStartTimestamp"]) >= int(row["invokeFunctionStartTimestamp"]) > time.time() * 1000 - 6e4
    wanted = {"operation": "InvokeFunction", "invocationType": "Sync", "resourceMode": "OnDemand", "isSampled": "false"}
    assert {name: row[name] for name in wanted} == wanted
    assert float(row["initializationDurationMs"]) == 0.0


def test_a_row_of_an_asynchronous_call_says_so_from_the_first_run_on(server: Server) -> None:
    answer = server.invoke("shop/pay", b"good", X_Fc_Invocation_Type="Async")
    number = answer.headers["x-fc-request-id"]
    (row,) = wait_until(lambda: _found(server, f'__topic__:"FCRequestMetrics:shop/pay" and {number}'), "the metrics")

    assert row["invocationType"] == "Async"


@pytest.fixture
def watched(server: Server) -> Iterator[None]:
    """A function of which everything is wanted."""
    body = {**FC3, "code": CODE, "logConfig": EVERYTHING}
    assert server.manage("POST", "/2023-03-30/functions", body).status == 200
    yield
    server.manage("DELETE", "/2023-03-30/functions/watched")


@pytest.mark.usefixtures("watched")
def test_what_an_instance_goes_through_is_told_as_fc_tells_it(server: Server) -> None:
    _call(server, "/2023-03-30/functions/watched/invocations", b"x")
    query = '__topic__:"FCInstanceEvents:/watched"'
    rows = wait_until(lambda: (found := _found(server, query)) and len(found) > 3 and found, "the events")
    server.manage("DELETE", "/2023-03-30/functions/watched")
    end = f"{query} and DestroySuccess and {rows[0]['instanceID']}"
    (gone,) = wait_until(lambda: _found(server, end), "the end")
    (event,) = json.loads(rows[0]["events"])

    assert {row["message"].removeprefix("fc:Instance:") for row in rows} == {
        "Creating", "PrepareCodeSuccess", "RuntimeInitializationSuccess", "CreateSuccess",
    }  # fmt: skip
    assert (event["name"], event["level"]) == (rows[0]["message"], "Normal")
    assert {(row["functionName"], row["serviceName"], row["qualifier"]) for row in rows} == {("watched", "", "LATEST")}
    assert int(gone["__time__"]) >= int(rows[0]["__time__"])


def test_an_instance_that_does_not_start_is_told_with_a_warning(server: Server) -> None:
    code = {"zipFile": zipped({"index.py": "raise ValueError('no')\n"})}
    body = {**FC3, "functionName": "broken", "code": code, "logConfig": EVERYTHING}
    assert server.manage("POST", "/2023-03-30/functions", body).status == 200
    _call(server, "/2023-03-30/functions/broken/invocations", b"x")
    query = '__topic__:"FCInstanceEvents:/broken"'
    rows = wait_until(lambda: (found := _found(server, query)) and len(found) > 3 and found, "the events")
    levels = {row["message"].removeprefix("fc:Instance:"): json.loads(row["events"])[0]["level"] for row in rows}

    assert levels == {
        "Creating": "Normal", "RuntimeInitializationFailed": "Warning", "CreateFailed": "Warning",
        "DestroySuccess": "Normal",
    }  # fmt: skip


@pytest.mark.usefixtures("watched")
@pytest.mark.long
def test_what_an_instance_uses_is_told_every_ten_seconds(server: Server) -> None:
    _call(server, "/2023-03-30/functions/watched/invocations", b"x")
    query = '__topic__:"FCInstanceMetrics:/watched"'
    (row,) = wait_until(lambda: _found(server, query), "the metrics", timeout=30)
    wanted = {
        "aggPeriodSeconds": "10", "concurrentRequests": "0", "memoryLimitMB": "128.00", "operation": "InvokeFunction",
        "functionName": "watched", "qualifier": "LATEST", "versionId": "LATEST",
    }  # fmt: skip

    assert {name: row[name] for name in wanted} == wanted
    assert 1 < float(row["memoryUsageMB"]) < 128
    assert 0 <= float(row["cpuPercent"]) < 200
    assert float(row["memoryUsagePercent"]) == pytest.approx(float(row["memoryUsageMB"]) / 128 * 100, abs=0.02)


def test_rows_of_instances_are_told_only_where_they_are_wanted(server: Server) -> None:
    _call(server, "/2016-08-15/services/shop/functions/pay/invocations", b"unwatched")
    wait_until(lambda: _found(server, "unwatched"), "the log")

    assert _found(server, '__topic__:"FCInstanceEvents:shop/pay"') == []
    assert _found(server, '__topic__:"FCInstanceMetrics:shop/pay"') == []


def test_the_logstore_of_a_function_that_nobody_has_called_is_there(server: Server) -> None:
    body = {**FC3, "functionName": "quiet", "code": CODE, "logConfig": {"project": "made-soon", "logstore": "quiet"}}
    assert server.manage("POST", "/2023-03-30/functions", body).status == 200

    wait_until(lambda: Client(server, "made-soon")("GET", "/logstores/quiet").status == 200, "the logstore")


def test_functions_without_a_logstore_write_to_none(server: Server) -> None:
    _call(server, "/2016-08-15/services/silent/functions/pay/invocations", b"unheard")
    _call(server, "/2016-08-15/services/shop/functions/pay/invocations", b"heard")
    wait_until(lambda: _found(server, "heard"), "the other's log")

    assert _found(server, "unheard") == []


def test_a_function_may_ask_its_own_logstore(server: Server) -> None:
    code = zipped({"index.py": "def handler(_, context):\n    c = context.credentials\n"
                   "    return '\\n'.join((c.access_key_id, c.access_key_secret, c.security_token))\n"})  # fmt: skip
    function = {"functionName": "keys", "runtime": "python3", "handler": "index.handler", "code": {"zipFile": code}}
    for service in ("shop", "silent"):
        server.manage("POST", f"/2016-08-15/services/{service}/functions", function)
    _call(server, "/2016-08-15/services/shop/functions/pay/invocations", b"x")
    wait_until(lambda: _found(server, "processing"), "the log")

    assert [_as_function(server, service) for service in ("shop", "silent")] == [200, 401]


def _as_function(server: Server, service: str) -> int:
    path = f"/2016-08-15/services/{service}/functions/keys/invocations"
    answer = server.request("POST", path, b"", server.signed_headers("POST", path, {}))
    name, secret, token = answer.body.decode().split("\n")
    ask = Client(server, PROJECT)
    ask.key = Keys(server.data_dir).first()[0].__class__(id=name, secret=secret, token=token)
    body = {"from": 0, "to": int(time.time()) + 600, "query": "*"}
    return ask("POST", f"/logstores/{LOGSTORE}/logs", body=body, x_acs_security_token=token).status


@pytest.mark.long
def test_what_was_written_before_an_orderly_end_is_there(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("data") / "data"
    server = Server(tmp_path, data)
    server.manage("POST", "/2016-08-15/services", {"serviceName": "shop", "logConfig": LOG_CONFIG})
    function = {"functionName": "pay", "runtime": "python3", "handler": "index.handler", "code": CODE}
    server.manage("POST", "/2016-08-15/services/shop/functions", function)
    _call(server, "/2016-08-15/services/shop/functions/pay/invocations", b"last")
    server.stop()
    server = Server(tmp_path, data)
    try:
        assert _found(server, "order and last")
    finally:
        server.stop()


@pytest.mark.long
def test_a_trigger_tells_its_function_of_new_logs(server: Server) -> None:
    ask = Client(server, PROJECT)
    ask("POST", "/", body={"projectName": PROJECT})
    ask("POST", "/logstores", body={"logstoreName": "orders"})
    trigger = {
        "triggerName": "orders", "triggerType": "log", "sourceArn": f"acs:log:cn-hangzhou:1:project/{PROJECT}",
        "invocationRole": "acs:ram::1:role/x",
        "triggerConfig": {
            "sourceConfig": {"logstore": "orders"}, "jobConfig": {"maxRetryTime": 1, "triggerInterval": 3},
            "functionParameter": {"a": "b"}, "logConfig": {}, "enable": True,
        },
    }  # fmt: skip
    made = server.manage("POST", "/2016-08-15/services/shop/functions/pay/triggers", trigger)
    assert made.status == 200, made.body
    ask.put(Log(int(time.time()), 0, [("order", "7")]), logstore="orders")
    (row,) = wait_until(lambda: _found(server, "beginCursor and order"), "the call")
    event = json.loads(row["message"].partition("order ")[2])

    assert (event["parameter"], event["source"]["logstoreName"]) == ({"a": "b"}, "orders")
    pulled = ask.pull(event["source"]["beginCursor"], "orders")
    assert pulled.headers["x-log-cursor"] == event["source"]["endCursor"]


def _trigger(logstore: str, **job: int) -> dict[str, Any]:
    return {
        "triggerName": logstore, "triggerType": "log", "sourceArn": f"acs:log:cn-hangzhou:1:project/{PROJECT}",
        "triggerConfig": {"sourceConfig": {"logstore": logstore}, "jobConfig": {"triggerInterval": 3, **job}},
    }  # fmt: skip


def _state(server: Server, name: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = server.manage("GET", "/pyfc/triggers").json["triggers"]
    return next((row for row in rows if row["trigger"] == name), {"state": "", "error": ""})


def test_a_trigger_that_reads_its_own_functions_logs_is_told(server: Server) -> None:
    api = "/2016-08-15/services/shop/functions/pay/triggers"
    assert server.manage("POST", api, _trigger(LOGSTORE)).status == 200
    wait_until(lambda: _state(server, LOGSTORE)["state"] == "failing", "the state of the trigger")

    assert f"the logs of shop/pay go to logstore {LOGSTORE}" in _state(server, LOGSTORE)["error"]
    assert server.manage("DELETE", f"{api}/{LOGSTORE}").status == 204


@pytest.mark.long
@pytest.mark.parametrize("auth", ["auto", "off"])
def test_a_function_that_puts_logs_where_its_trigger_reads_is_stopped(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, auth: str
) -> None:
    server = Server(tmp_path, tmp_path_factory.mktemp("data") / "data", "--auth", auth)
    made = server.manage("POST", "/2016-08-15/services", {"serviceName": "shop", "logConfig": LOG_CONFIG})
    assert made.status == 200, made.body
    code = {"zipFile": zipped({"index.py": LOOP.replace("PORT", str(server.port))})}
    function = {"functionName": "loop", "runtime": "python3", "handler": "index.handler", "code": code}
    assert server.manage("POST", "/2016-08-15/services/shop/functions", function).status == 200
    made = server.manage("POST", "/2016-08-15/services/shop/functions/loop/triggers", _trigger("circle"))
    assert made.status == 200, made.body
    ask = Client(server, PROJECT)
    wait_until(lambda: ask.put(Log(1, 0, [("first", "1")]), logstore="circle").status == 200, "the logstore")
    for count in range(1, 18):
        wait_until(lambda count=count: server.log("shop", "loop").count("put 200") >= count, f"call {count}")
    wait_until(lambda: server.manage("GET", "/pyfc/events").json["events"], "the end of the circle")
    (kept,) = server.manage("GET", "/pyfc/events").json["events"]
    found = server.manage("GET", f"/pyfc/events/{kept['requestId']}").json
    told = pyfc("why", kept["requestId"], "--endpoint", server.endpoint)[1]
    server.stop()

    assert (found["status"], found["condition"]) == ("Failed", "LoopDetected")
    assert "17 calls have led to each other" in told
    assert "logstore" in told


@pytest.mark.long
def test_a_window_is_tried_as_often_as_its_trigger_says(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Server(tmp_path, tmp_path_factory.mktemp("data") / "data", PYFC_ASYNC_RETRY_DELAY="0.05")
    made = server.manage("POST", "/2016-08-15/services", {"serviceName": "shop"})
    assert made.status == 200, made.body
    code = {"zipFile": zipped({"index.py": "def handler(event, context):\n    raise ValueError('no stock')\n"})}
    function = {"functionName": "fails", "runtime": "python3", "handler": "index.handler", "code": code}
    assert server.manage("POST", "/2016-08-15/services/shop/functions", function).status == 200
    trigger = _trigger("orders", maxRetryTime=5)
    made = server.manage("POST", "/2016-08-15/services/shop/functions/fails/triggers", trigger)
    assert made.status == 200, made.body
    ask = Client(server, PROJECT)
    wait_until(lambda: ask.put(Log(1, 0, [("order", "1")]), logstore="orders").status == 200, "the logstore")
    wait_until(lambda: server.manage("GET", "/pyfc/events").json["events"], "the end of the tries")
    wait_until(lambda: server.log("shop", "fails").count("ValueError: no stock") >= 6, "the log")
    tries = server.log("shop", "fails").count("ValueError: no stock")
    server.stop()

    assert tries == 6


@pytest.mark.long
def test_two_thousand_lines_a_second_are_found_within_two_seconds(server: Server) -> None:
    code = (
        "def handler(event, context):\n    for number in range(200):\n        print(event.decode(), 'line', number)\n"
    )
    loud = {**FC3, "functionName": "loud", "logConfig": LOG_CONFIG, "code": {"zipFile": zipped({"index.py": code})}}
    assert server.manage("POST", "/2023-03-30/functions", loud).status == 200
    path = "/2023-03-30/functions/loud/invocations"
    _call(server, path, b"first")
    began = time.monotonic()
    for second in range(3):
        for part in range(10):
            time_passed(max(began + second + part / 10 - time.monotonic(), 0.0))
            _call(server, path, b"second%d" % second)
        wait_until(lambda second=second: _lines(server, f"second{second}") == 2000, "all lines", 2)  # type: ignore[misc]


def _lines(server: Server, word: str) -> int:
    """How many lines are found."""
    rows = _found(server, f"{word} | select count(1) as found")
    return int(rows[0]["found"]) if rows else 0
