"""What FC's clients read closely: small things of the management API's answers, and the API 2021-04-06."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastcrc import crc64

from support import Response, Server, read_all, zipped

API = "/2016-08-15"
MIDDLE = "/2021-04-06"
NEWER = "/2023-03-30"
FUNCTION = {
    "functionName": "f", "runtime": "python3", "handler": "index.handler",
    "code": {"zipFile": zipped({"index.py": "def handler(event, context):\n    return event\n"})},
}  # fmt: skip
ACTION = {"name": "evening", "target": 1, "scheduleExpression": "at(2020-01-01T00:00:00Z)"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a service `s` and its function `f`."""
    place = tmp_path_factory.mktemp("differences")
    (place / "project").mkdir()
    server = Server(place / "project", place / "data")
    assert server.manage("POST", f"{API}/services", {"serviceName": "s"}).status == 200
    assert server.manage("POST", f"{API}/services/s/functions", FUNCTION).status == 200
    yield server
    assert server.stop()[0] == 0


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json.get("ErrorCode") or answer.json["Code"]


@pytest.mark.parametrize("limit", ["-1", "abc", "1.5", "9" * 20])
def test_a_limit_that_is_no_number_is_refused(shared: Server, limit: str) -> None:
    for path in (f"{API}/services", f"{NEWER}/functions", f"{API}/provision-configs"):
        assert code_of(shared.manage("GET", f"{path}?limit={limit}")) == (400, "InvalidArgument"), path


def test_an_alias_without_weights_says_null(shared: Server) -> None:
    shared.manage("POST", f"{API}/services/s/versions", {})
    path = f"{API}/services/s/aliases"

    made = shared.manage("POST", path, {"aliasName": "weightless", "versionId": "1"})

    assert made.json["additionalVersionWeight"] is None
    weights = {"additionalVersionWeight": {"1": 0.5}}
    assert shared.manage("PUT", f"{path}/weightless", weights).json["additionalVersionWeight"] == {"1": 0.5}
    assert shared.manage("PUT", f"{path}/weightless", made.json).json["additionalVersionWeight"] == {"1": 0.5}


def test_a_reserve_tells_the_target_in_force_and_keeps_the_actions_that_are_not_sent(shared: Server) -> None:
    path = f"{API}/services/s/functions/f/provision-config"
    assert shared.manage("PUT", path, {"target": 0, "scheduledActions": [ACTION]}).json["target"] == 0
    assert shared.manage("GET", path).json["target"] == 1

    again = shared.manage("PUT", path, {"target": 0})

    assert again.json["scheduledActions"] == [ACTION]
    assert shared.manage("GET", path).json["target"] == 1
    for actions in ([ACTION, ACTION], [{**ACTION, "name": str(number)} for number in range(101)]):
        refused = shared.manage("PUT", path, {"target": 0, "scheduledActions": actions})
        assert code_of(refused) == (400, "InvalidArgument")
        assert "ScheduledActions" in refused.json["ErrorMessage"]
    none = shared.manage("PUT", path, {"target": 0, "scheduledActions": []})
    assert (none.json["target"], none.json["scheduledActions"]) == (0, [])


def test_a_function_without_a_reserve_has_one_of_0_in_the_newer_api(shared: Server) -> None:
    assert shared.manage("POST", f"{NEWER}/functions", {**FUNCTION, "functionName": "bare"}).status == 200
    path = f"{NEWER}/functions/bare/provision-config"

    told = shared.manage("GET", path)

    assert told.status == 200
    assert {name: told.json[name] for name in ("target", "defaultTarget", "current")} == {
        "target": 0, "defaultTarget": 0, "current": 0,
    }  # fmt: skip
    assert told.json["functionArn"] == ""  # by which FC's tools know that nothing was configured
    shared.manage("PUT", path, {"defaultTarget": 0, "target": 5, "scheduledActions": [ACTION]})
    told = shared.manage("GET", path)
    assert (told.json["defaultTarget"], told.json["target"]) == (0, 1)
    assert shared.manage("DELETE", path).status == 204
    missing = f"{NEWER}/functions/nowhere/provision-config"
    assert code_of(shared.manage("GET", missing)) == (404, "FunctionNotFound")
    assert code_of(shared.manage("GET", f"{API}/services/s.LATEST/functions/f/on-demand-config"))[0] == 404


def test_an_empty_runtime_is_no_change(shared: Server) -> None:
    path = f"{API}/services/s/functions/f"

    changed = shared.manage("PUT", path, {"runtime": "", "description": "changed"})

    assert (changed.status, changed.json["runtime"], changed.json["description"]) == (200, "python3", "changed")


def test_arguments_of_a_custom_runtime_stay_apart_from_its_command(shared: Server) -> None:
    runtime = {"command": ["/bin/sh", "run.sh"], "args": ["-a", "b"], "port": 8000}
    document = {**FUNCTION, "functionName": "args", "runtime": "custom", "customRuntimeConfig": runtime}

    made = shared.manage("POST", f"{NEWER}/functions", document)

    assert made.json["customRuntimeConfig"] == runtime
    again = shared.manage("PUT", f"{NEWER}/functions/args", {"description": "x"}).json["customRuntimeConfig"]
    assert again == runtime
    only = {"customRuntimeConfig": {"command": ["./x"]}}
    assert shared.manage("PUT", f"{NEWER}/functions/args", only).json["customRuntimeConfig"]["command"] == ["./x"]


def test_a_package_that_is_fetched_comes_with_its_checksum_and_length(shared: Server) -> None:
    place = shared.manage("GET", f"{API}/services/s/functions/f/code").json

    package = shared.request("GET", place["url"].removeprefix(shared.endpoint))

    assert package.headers["x-oss-hash-crc64ecma"] == place["checksum"] == str(crc64.xz(package.body))
    assert int(package.headers["Content-Length"]) == len(package.body)


def test_functions_without_a_service_are_served_after_that_of_all_of_them_was_deleted(shared: Server) -> None:
    made: Any = shared.manage("GET", f"{NEWER}/functions").json["functions"]
    for each in made:
        shared.manage("DELETE", f"{NEWER}/functions/{each['functionName']}")
    assert shared.manage("DELETE", f"{API}/services/default").status == 204

    answer = shared.manage("POST", f"{NEWER}/functions", {**FUNCTION, "functionName": "after"})

    assert answer.status == 200, answer.body
    assert shared.request("POST", f"{NEWER}/functions/after/invocations", b"x").body == b"x"


def test_tags_are_told_with_the_whole_name_of_what_has_them(shared: Server) -> None:
    shared.manage("POST", f"{API}/tag", {"resourceArn": "services/s", "tags": {"team": "a"}})
    whole = "acs:fc:cn-hangzhou:1234567890123456:services/s"

    assert shared.manage("GET", f"{API}/tag?resourceArn=services/s").json["resourceArn"] == whole
    assert shared.manage("GET", f"{MIDDLE}/tags").json == {"resources": [{"resourceArn": whole, "tags": {"team": "a"}}]}


def test_the_api_between_has_triggers_with_their_configuration_as_text(shared: Server) -> None:
    path = f"{MIDDLE}/services/s/functions/f/triggers"
    config = {"cronExpression": "0 0 8 * * *", "enable": True, "payload": ""}
    trigger = {"triggerName": "morning", "triggerType": "timer", "triggerConfig": json.dumps(config)}

    made = shared.manage("POST", path, trigger)

    assert (made.status, json.loads(made.json["triggerConfig"])) == (200, config)
    changed = shared.manage("PUT", f"{path}/morning", {"triggerConfig": json.dumps({**config, "enable": False})})
    assert json.loads(changed.json["triggerConfig"])["enable"] is False
    assert json.loads(shared.manage("GET", path).json["triggers"][0]["triggerConfig"])["enable"] is False
    older = shared.manage("GET", path.replace(MIDDLE, API) + "/morning").json["triggerConfig"]
    assert older["cronExpression"] == "0 0 8 * * *"
    assert shared.manage("DELETE", f"{path}/morning").status == 204


def test_the_api_between_tells_errors_as_the_newer_one(shared: Server) -> None:
    answer = shared.manage("GET", f"{MIDDLE}/services/none")

    assert (answer.status, set(answer.json)) == (404, {"RequestId", "Code", "Message"})
    assert answer.json["Code"] == "ServiceNotFound"
    unknown = shared.manage("GET", f"{MIDDLE}/nothing")
    assert unknown.json["Code"] == "PathNotSupported"
    call = shared.request("POST", f"{MIDDLE}/services/s/functions/none/invocations", b"")
    assert call.json["Code"] == "FunctionNotFound"


def test_the_api_between_keeps_event_sources(shared: Server) -> None:
    path, arn = f"{MIDDLE}/services/s/functions/f/event-sources", "acs:oss:cn-hangzhou:1:bucket/x"

    made = shared.manage("POST", path, {"sourceArn": arn})

    assert (made.status, set(made.json)) == (200, {"sourceArn", "createdTime"})
    assert shared.manage("POST", path, {"sourceArn": arn}).json == made.json
    assert shared.manage("GET", path).json == {"eventSources": [made.json]}
    assert shared.manage("DELETE", f"{path}/{quote(arn, safe='')}").status == 204
    assert code_of(shared.manage("DELETE", f"{path}/{quote(arn, safe='')}")) == (404, "EventSourceNotFound")
    assert code_of(shared.manage("POST", path, {})) == (400, "InvalidArgument")
    assert shared.manage("GET", f"{MIDDLE}/reserved-capacities").json == {"reservedCapacities": []}


def test_header_names_are_written_as_fc_writes_them(shared: Server) -> None:
    path = f"{API}/services/s"
    lines = "".join(f"{name}: {value}\r\n" for name, value in shared.signed_headers("GET", path, {}).items())
    with shared.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Connection: close\r\n\r\n".encode())
        head = read_all(connection).partition(b"\r\n\r\n")[0].decode()

    names = {line.partition(":")[0] for line in head.split("\r\n")[1:]}
    assert names == {"Date", "X-Fc-Request-Id", "Etag", "Content-Length", "Content-Type", "Connection"}
