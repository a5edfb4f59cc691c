"""Synchronous calls of event functions, against FC's contract."""

from __future__ import annotations

import base64
import os
import re
import signal
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import SHARES_FILES, Server, time_passed, wait_until

UNHANDLED = "UnhandledInvocationError"


def log_of(response: object) -> str:
    return base64.b64decode(response.headers["X-Fc-Log-Result"]).decode()  # type: ignore[attr-defined]


def test_the_event_reaches_the_handler_as_bytes_and_bytes_come_back_as_they_are(cases: Server) -> None:
    event = bytes(range(256))

    assert cases.invoke("events/echo", event).body == event
    assert cases.invoke("events/kind", event).body == b"bytes"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (b"None", b"null"),
        (b"'caf\xc3\xa9'", "café".encode()),
        (b"{'a': [1, 2.5, None, True]}", b'{"a": [1, 2.5, null, true]}'),
        (b"7", b"7"),
        (b"bytearray(b'ab')", b"ab"),
        (b"memoryview(b'ab')", b"ab"),
        (b"''", b""),
        (b"('a', 'b')", b'["a", "b"]'),
    ],
)
def test_a_returned_value_becomes_bytes_by_the_rules_of_fc(cases: Server, expression: bytes, expected: bytes) -> None:
    response = cases.invoke("events/value", expression)

    assert response.body == expected
    assert response.headers["X-Fc-Error-Type"] is None


def test_a_result_carries_the_headers_of_the_contract(cases: Server) -> None:
    response = cases.invoke("events/echo", b"x")

    assert response.status == 200
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["X-Fc-Invocation-Service-Version"] == "LATEST"
    assert response.headers["X-Fc-Code-Checksum"].isdigit()
    assert response.headers["X-Fc-Instance-Id"].startswith("c-")
    assert response.headers["X-Fc-Invocation-Duration"].isdigit()
    assert 1 < float(response.headers["X-Fc-Max-Memory-Usage"]) < 1000
    assert len(response.headers["X-Fc-Request-Id"]) == 36
    assert response.headers["Access-Control-Expose-Headers"].startswith("Date,x-fc-request-id")
    assert response.headers["Date"].endswith("GMT")
    assert response.headers["Content-Disposition"] is None


def test_both_api_versions_and_the_qualifier_latest_reach_the_function(cases: Server) -> None:
    for path in (
        "/2016-08-15/services/events.LATEST/functions/echo/invocations",
        "/2021-04-06/services/events/functions/echo/invocations",
        "/2016-08-15/services/events/functions/%65cho/invocations?ignored=1",
    ):
        assert cases.request("POST", path, b"hi").body == b"hi"


def test_an_exception_becomes_fcs_error_json_with_the_users_own_frames(cases: Server) -> None:
    response = cases.invoke("events/raises")

    assert response.status == 200
    assert response.headers["X-Fc-Error-Type"] == UNHANDLED
    assert response.json["errorMessage"] == "something is wrong"
    assert response.json["errorType"] == "ValueError"
    [frame] = response.json["stackTrace"]
    assert frame[0].endswith('/index.py"')
    assert frame[1].startswith("line ")
    assert frame[2:] == ["in raises", 'raise ValueError("something is wrong")']


@pytest.mark.parametrize(
    ("function", "message", "kind"),
    [
        ("events/not_serialisable", "Object of type object is not JSON serializable", "TypeError"),
        ("events/missing", "Handler 'nothing' is missing on module 'index'", "HandlerNotFound"),
        ("events/no_module", "Unable to import module 'nowhere': No module named 'nowhere'", "ImportModuleError"),
        ("events/raises_own", "the error's own text could not be made: RuntimeError", "Odd"),
        ("events/recurses", "maximum recursion depth exceeded", "RecursionError"),
        ("starts/failing", "the initializer failed", "RuntimeError"),
    ],
)
def test_a_fault_of_user_code_is_answered_with_its_message(
    cases: Server, function: str, message: str, kind: str
) -> None:
    response = cases.invoke(function)

    assert (response.status, response.headers["X-Fc-Error-Type"]) == (200, UNHANDLED)
    assert response.json["errorMessage"].startswith(message)
    assert response.json["errorType"] == kind


def test_the_log_of_a_failed_call_shows_where_it_failed(serve: Callable[..., Server]) -> None:
    code = (
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\n"
        "def handler(event, context):\n    return inner(event)\n"
        "def inner(event):\n    raise Odd if event == b'odd' else RuntimeError('wanted')\n"
    )
    server = serve({"index.py": code})

    for event, shown in ((b"", "RuntimeError: wanted"), (b"odd", "Odd: ")):
        answer = server.invoke("default/index", event, X_Fc_Log_Type="Tail")
        log = base64.b64decode(answer.headers["X-Fc-Log-Result"]).decode()
        assert re.search(r'Traceback .*\n  File "/code/index.py", line 5, in handler\n', log), log
        assert shown in log
        assert "bootstrap" not in log
        assert "errorMessage" in answer.json


def test_a_coroutine_as_a_handler_is_told_to_be_one(serve: Callable[..., Server]) -> None:
    server = serve({"index.py": "async def handler(event, context):\n    return 1\n"})

    answer = server.invoke("default/index")

    assert "coroutine" in answer.json["errorMessage"]
    assert answer.json["errorMessage"].endswith("call asyncio.run(...) in a plain one")
    assert "never awaited" not in server.log("default", "index")


def test_a_syntax_error_is_shown_with_its_line(cases: Server) -> None:
    response = cases.invoke("broken/syntax")

    assert response.json["errorType"] == "SyntaxError"
    assert response.json["stackTrace"][-1][1:] == ["line 1", "in <module>", "def handler(event, context)"]


def test_a_failed_import_ends_with_the_pip_command_that_installs_what_is_missing(cases: Server) -> None:
    message = cases.invoke("broken/needs").json["errorMessage"]

    folder = os.path.join(os.path.dirname(os.path.dirname(__file__)), "functions", "broken")
    assert message.endswith(f"pip install -r {folder}/requirements.txt -t {folder}")


@pytest.mark.parametrize("function", ["events/leaves", "events/leaves_at_once", "events/crashes"])
def test_a_worker_that_dies_fails_its_call_and_is_replaced(cases: Server, function: str) -> None:
    for _ in range(2):
        response = cases.invoke(function)

        assert (response.status, response.headers["X-Fc-Error-Type"]) == (200, UNHANDLED)
        assert response.json["errorMessage"].startswith("Process exited unexpectedly before completing request (dur")
        assert "maxMemoryUsage: 0.00MB" not in response.json["errorMessage"]


@pytest.mark.parametrize("function", ["broken/leaves", "starts/leaving"])
def test_a_worker_that_dies_while_it_starts_fails_the_call_that_needed_it(cases: Server, function: str) -> None:
    response = cases.invoke(function)

    assert response.headers["X-Fc-Error-Type"] == UNHANDLED
    assert response.json["errorMessage"].startswith("Process exited unexpectedly")


@pytest.mark.parametrize("function", ["events/loops", "events/ignores_term"])
def test_a_call_that_is_too_late_is_ended_and_its_instance_never_used_again(cases: Server, function: str) -> None:
    first = cases.invoke(function, x_fc_log_type="Tail")
    second = cases.invoke(function)

    assert first.json["errorMessage"].startswith("Function timed out after 1 seconds (maxMemoryUsage: ")
    assert first.headers["X-Fc-Error-Type"] == UNHANDLED
    assert first.headers["X-Fc-Instance-Id"] != second.headers["X-Fc-Instance-Id"]


def test_the_log_of_a_late_call_has_its_output_and_shows_where_it_was(cases: Server) -> None:
    log = log_of(cases.invoke("events/loops", x_fc_log_type="Tail"))

    assert "printed before the loop\n" in log
    assert "Dumping stack trace after function timeout" in log
    assert "in loops" in log
    assert ", Error: Unhandled function error" in log


def test_module_globals_survive_between_calls_of_an_instance(cases: Server) -> None:
    first, second = cases.invoke("events/count").json, cases.invoke("events/count").json

    assert second["pid"] == first["pid"]
    assert second["count"] == first["count"] + 1


def test_the_log_holds_everything_that_reached_the_descriptors_between_its_markers(cases: Server) -> None:
    cases.invoke("events/prints")
    response = cases.invoke("events/prints", x_fc_log_type="Tail")

    number = response.headers["X-Fc-Request-Id"]
    lines = log_of(response).splitlines()
    assert lines[0] == f"FC Invoke Start RequestId: {number}"
    assert {"to stdout", "to stderr", "by descriptor", "by a subprocess"} <= set(lines)
    assert lines.index("to stdout") < lines.index("to stderr")
    [logged] = [line for line in lines if line.endswith("by the logger")]
    assert logged[10:11] == "T"
    assert logged[23:].startswith(f"Z {number} [INFO] ")
    assert any(line.endswith(f"Z {number} [WARNING] by another logger") for line in lines)
    assert "never shown" not in log_of(response)
    assert lines[-3] == f"FC Invoke End RequestId: {number}"
    assert lines[-1].startswith("Duration: ")
    assert "Memory Size: 128 MB, Max Memory Used: " in lines[-1]


def test_a_line_is_not_torn_apart_by_what_is_written_beside_it(cases: Server) -> None:
    cases.invoke("events/prints")
    time_passed(0.1)  # so that the first write is written out at once

    response = cases.invoke("events/prints", x_fc_log_type="Tail")

    assert {"to stdout", "to stderr", "by descriptor", "by a subprocess"} <= set(log_of(response).splitlines())


def test_the_tail_is_the_last_4096_bytes_of_a_log_of_megabytes(cases: Server) -> None:
    response = cases.invoke("events/prints_much", b"5000000", x_fc_log_type="Tail")

    assert response.body == b"done"
    log = base64.b64decode(response.headers["X-Fc-Log-Result"])
    assert len(log) == 4096
    assert b"x" * 99 in log
    assert b"Duration: " in log


def test_no_output_is_lost_of_a_call_that_prints_megabytes(cases: Server) -> None:
    response = cases.invoke("events/prints_much", b"3000000")

    number = response.headers["X-Fc-Request-Id"]
    cases.record(number)
    assert len(cases.logged(number)) == 3_000_000


def test_output_of_a_background_thread_between_calls_belongs_to_no_call(cases: Server) -> None:
    response = cases.invoke("events/leaves_thread")

    instance = response.headers["X-Fc-Instance-Id"]

    def written() -> str:
        return "".join(each.get("log", "") for each in cases.records if each.get("instanceId") == instance)

    wait_until(lambda: written() == "from a thread, after the call\n", "the thread's output")
    assert cases.logged(response.headers["X-Fc-Request-Id"]) == ""


def test_text_that_is_not_unicode_reaches_log_and_result(cases: Server) -> None:
    response = cases.invoke("events/prints_surrogate", x_fc_log_type="Tail")

    assert response.body == b"lone \xed\xb2\x80 surrogate"
    assert "lone \\udc80 surrogate" in log_of(response)


def test_a_function_that_closes_its_streams_goes_on_working(cases: Server) -> None:
    assert cases.invoke("events/closes_stdout").body == b"closed"
    assert cases.invoke("events/closes_stdout").status == 200


def test_the_context_has_every_attribute_of_the_contract(cases: Server) -> None:
    response = cases.invoke(
        "events/attributes",
        x_fc_tracing_opentracing_span_context="1:2:0:1",
        x_fc_tracing_opentracing_span_baggage_who="ada",
    )

    context = response.json
    assert context["request_id"] == response.headers["X-Fc-Request-Id"]
    assert (context["account_id"], context["region"]) == ("1234567890123456", "cn-hangzhou")
    assert context["credentials"] == ["access_key_id", "access_key_secret", "security_token"]
    assert context["function"]["name"] == "attributes"
    assert context["function"]["handler"] == "index.attributes"
    assert (context["function"]["memory"], context["function"]["timeout"]) == (128, 3)
    assert context["service"]["name"] == "events"
    assert (context["service"]["log_project"], context["service"]["log_store"]) == ("logs", "store")
    assert (context["service"]["qualifier"], context["service"]["version_id"]) == ("LATEST", "LATEST")
    assert context["tracing"] == ["1:2:0:1", {"who": "ada"}, None]
    assert context["retry_count"] == 0
    assert context["logger"]


def test_the_environment_is_fcs_and_the_users_and_nothing_of_the_servers(cases: Server) -> None:
    variables = cases.invoke("events/environment").json

    assert (variables["MINE"], variables["NUMBER"]) == ("yes", "7")
    assert variables["FC_FUNCTION_NAME"] == "environment"
    assert variables["FC_SERVICE_NAME"] == "events"
    assert variables["FC_FUNCTION_HANDLER"] == "index.environment"
    assert variables["FC_FUNCTION_MEMORY_SIZE"] == "128"
    assert variables["FC_RUNTIME_VERSION"] == "python3"
    assert variables["FC_REGION"] == "cn-hangzhou"
    assert variables["FC_ACCOUNT_ID"] == "1234567890123456"
    assert variables["FC_INSTANCE_ID"].startswith("c-")
    assert os.path.isabs(variables["FC_FUNC_CODE_PATH"])
    assert variables["accessKeyID"] == variables["ALIBABA_CLOUD_ACCESS_KEY_ID"]
    assert not {"VIRTUAL_ENV", "PYFC_DATA_DIR", "USER", "SHELL", "PWD"} & set(variables)


def test_a_worker_has_its_own_session_and_only_its_own_descriptors_and_no_new_privileges(cases: Server) -> None:
    worker = cases.invoke("events/process").json

    assert worker["descriptors"] == [0, 1, 2, 3, 4, 5]
    assert worker["session"]
    assert worker["group"]
    assert worker["no_new_privs"] == "1"
    assert worker["core"] == ["0", "0"]
    assert worker["files"] == ["1024", "1024"]
    assert worker["threads"] == 1
    assert worker["path"][0] == worker["cwd"]
    assert "SHELL" not in worker["initial_environment"]
    assert "HOME" not in worker["initial_environment"]


def test_nothing_of_pyfc_is_importable_from_user_code(serve: Callable[..., Server]) -> None:
    server = serve({"tries.py": "def handler(event, context):\n    __import__(event.decode())\n"})

    for module in ("pyfc", "msgpack", "uvloop", "bootstrap", "wire", "zygote", "output", "enter"):
        assert server.invoke("default/tries", module.encode()).json["errorType"] == "ModuleNotFoundError"


def test_packages_of_the_interpreter_are_visible_only_with_site_packages(
    cases: Server, serve: Callable[..., Server]
) -> None:
    files = {"shows.py": "def handler(event, context):\n    import flask, sys\n    return flask.__name__\n"}
    hidden = serve(files)

    assert cases.invoke("events/imports", b"flask").body == b"imported"
    assert hidden.invoke("default/shows").json["errorType"] == "ModuleNotFoundError"


def test_a_module_of_the_function_wins_over_one_of_the_standard_library(serve: Callable[..., Server]) -> None:
    server = serve({
        "shadow.py": "import logging, json\ndef handler(event, context):\n    return [logging.MINE, json.dumps({})]\n",
        "logging.py": "MINE = 'mine'\ndef getLogger(): return None\n",
    })  # fmt: skip

    assert server.invoke("default/shadow").json == ["mine", "{}"]


def test_a_package_for_an_older_python_does_not_replace_the_standard_library(serve: Callable[..., Server]) -> None:
    server = serve({
        "index.py": "import enum, msgpack\n"
        "def handler(event, context):\n    return [hasattr(enum, 'Flag'), msgpack.MINE]\n",
        "enum/__init__.py": "raise ImportError('of Python 2')\n",
        "enum34-1.1.10.dist-info/RECORD": "enum/__init__.py,,\nenum34-1.1.10.dist-info/RECORD,,\n",
        "msgpack.py": "MINE = 'mine'\n",
        "msgpack-0.1.dist-info/RECORD": "msgpack.py,,\n",
    })  # fmt: skip

    assert server.invoke("default/index").json == [True, "mine"]


@pytest.mark.parametrize("size", [0, 1, 65536, 1024 * 1024, 1024 * 1024 + 1, 6_000_000, 32 * 1024 * 1024])
def test_events_and_results_of_any_allowed_size_arrive_whole(cases: Server, size: int) -> None:
    event = os.urandom(1024) * (size // 1024) + b"x" * (size % 1024)

    assert cases.invoke("events/echo", event).body == event


def test_an_event_over_the_limit_is_refused_before_it_is_read(cases: Server) -> None:
    response = cases.invoke("events/echo", b"x" * (32 * 1024 * 1024 + 1))

    assert response.status == 400
    assert response.json["ErrorCode"] == "EntityTooLarge"
    assert response.json["ErrorMessage"] == "payload size exceeds maximum allowed size (33554432 bytes)"


def test_a_result_over_the_limit_is_a_fault_and_the_instance_serves_on(cases: Server) -> None:
    response = cases.invoke("events/big", b"33554433")

    assert response.headers["X-Fc-Error-Type"] == UNHANDLED
    assert response.json["errorType"] == "ResponseTooLarge"
    again = cases.invoke("events/big", b"3")
    assert again.body == b"aaa"
    assert again.headers["X-Fc-Instance-Id"] == response.headers["X-Fc-Instance-Id"]


def frame(kind: int, call: int, header: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">IBIH", 7 + len(header) + len(payload), kind, call, len(header)) + header + payload


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 64,  # a giant length
        struct.pack(">I", 3) + b"abc",  # shorter than any frame
        struct.pack(">IBIH", 7, 18, 1, 60000),  # a header that is longer than its frame
        frame(18, 1, b"\xc1"),  # no msgpack
        frame(18, 99, b"\x95\xc2\x00\xc0\xcc\xc8\xc0"),  # a Reply to a call that is not there
        frame(18, 1, b"\x93\xc2\x00\xc0"),  # a Reply with too few fields
        frame(18, 1, b"\x95\xc2\x09\xc0\xcc\xc8\xc0", b"ab"),  # a Reply whose size is a lie
        frame(3, 1, b"\x91\xc2", b"data"),  # Data without a Reply
        frame(18, 1, b"\xdd\xff\xff\xff\xff"),  # an array of four billion items
        b"",
    ],
)
def test_a_worker_that_sends_what_is_no_frame_is_killed_and_the_server_is_unhurt(cases: Server, data: bytes) -> None:
    function = "events/fills_pipe" if data else "events/closes_pipe"

    response = cases.invoke(function, data)

    assert (response.status, response.headers["X-Fc-Error-Type"]) == (200, UNHANDLED)
    assert response.json["errorMessage"].startswith("Process exited unexpectedly before completing request")
    assert float(response.headers["X-Fc-Invocation-Duration"]) < 2000
    assert cases.invoke("events/echo", b"still there").body == b"still there"


def test_a_frame_that_is_cut_off_by_death_fails_the_call(cases: Server) -> None:
    response = cases.invoke("events/forges_end", b"3")

    assert response.json["errorMessage"].startswith("Process exited unexpectedly")


def test_what_a_function_leaves_running_dies_with_its_instance(serve: Callable[..., Server]) -> None:
    server = serve({
        "daemon.py": "import subprocess, os\n"
        "def handler(event, context):\n"
        "    if event: os._exit(1)\n"
        "    return subprocess.Popen(['sleep', '300']).pid\n"
    })  # fmt: skip
    server.invoke("default/daemon")
    [daemon] = [each for each in server.processes() if each.name() == "sleep"]

    server.invoke("default/daemon", b"die")

    wait_until(lambda: not daemon.is_running(), "the death of what the function left")


def test_forked_instances_do_not_share_their_randomness(cases: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cases.invoke("events/unique").json, range(24)))

    for column in zip(*answers, strict=True):
        assert len(set(column)) == len(column)


def test_the_initializer_runs_once_per_instance_and_its_log_is_the_first_calls(cases: Server) -> None:
    first = cases.invoke("starts/once", x_fc_log_type="Tail")
    second = cases.invoke("starts/once", x_fc_log_type="Tail")

    number = first.headers["X-Fc-Request-Id"]
    assert first.json == {"starts": [number], "request_id": number}
    assert second.json["starts"] == [number]
    lines = log_of(first).splitlines()
    start = lines.index(f"FC Initialize Start RequestId: {number}")
    end = lines.index(f"FC Initialize End RequestId: {number}")
    assert lines.index("imported") < start < lines.index("initializing") < end
    assert end < lines.index(f"FC Invoke Start RequestId: {number}")
    assert "initializing" not in log_of(second)


def test_a_failed_initializer_is_told_in_the_log_and_its_instance_is_gone(cases: Server) -> None:
    first = cases.invoke("starts/failing", x_fc_log_type="Tail")
    second = cases.invoke("starts/failing")

    number = first.headers["X-Fc-Request-Id"]
    assert f"FC Initialize End RequestId: {number}, Error: Unhandled function error\n" in log_of(first)
    assert "FC Invoke Start" not in log_of(first)
    assert first.headers["X-Fc-Instance-Id"] != second.headers["X-Fc-Instance-Id"]


def test_an_initializer_has_its_own_time_limit(cases: Server) -> None:
    message = cases.invoke("starts/slow").json["errorMessage"]

    assert message.startswith("Initializer timed out after 1 seconds (maxMemoryUsage: ")


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("services/nope/functions/echo/invocations", 404, "ServiceNotFound", "service 'nope' does not exist"),
        (
            "services/events/functions/nope/invocations", 404, "FunctionNotFound",
            "function 'nope' does not exist in service 'events'",
        ),
        (
            "services/events.7/functions/echo/invocations", 404, "VersionNotFound",
            "version '7' of service 'events' does not exist",
        ),
        (
            "services/events.prod/functions/echo/invocations", 404, "AliasNotFound",
            "alias 'prod' of service 'events' does not exist",
        ),
        (
            "services/web/functions/environ/invocations", 400, "InvalidArgument",
            "function 'environ' has an HTTP trigger: call it at /2016-08-15/proxy/web/environ/",
        ),
        (
            "services/other/functions/java/invocations", 400, "InvalidArgument",
            "function 'java' of service 'other' with runtime 'java11' is not supported yet: "
            "this pyfc serves custom, nodejs, php, python3, ruby",
        ),
    ],
)  # fmt: skip
def test_what_is_not_there_is_answered_with_fcs_code(
    cases: Server, path: str, status: int, code: str, message: str
) -> None:
    response = cases.request("POST", f"/2016-08-15/{path}", b"")

    assert response.status == status
    assert response.json == {"ErrorCode": code, "ErrorMessage": message}
    assert len(response.headers["X-Fc-Request-Id"]) == 36
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Fc-Error-Type"] is None


def test_wrong_methods_and_unknown_paths_are_not_supported(cases: Server) -> None:
    got = cases.request("GET", "/2016-08-15/services/events/functions/echo/invocations")
    unknown = cases.request("POST", "/2016-08-15/somewhere?x=1", b"{}")

    assert (got.status, got.json["ErrorCode"]) == (400, "PathNotSupported")
    assert unknown.json["ErrorMessage"] == "'POST' against '/2016-08-15/somewhere' is not supported"
    assert len(unknown.headers["X-Fc-Request-Id"]) == 36


def test_unknown_header_values_are_refused_clearly(cases: Server) -> None:
    wrong = cases.invoke("events/echo", x_fc_invocation_type="Maybe")
    log = cases.invoke("events/echo", x_fc_log_type="Head")

    assert (wrong.status, wrong.json["ErrorCode"]) == (400, "InvalidArgument")
    assert (log.status, log.json["ErrorCode"]) == (400, "InvalidArgument")


def test_a_kill_9_of_a_busy_worker_is_answered_at_once(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve({
        "sleeps.py": "import os, time\n"
        "def handler(event, context):\n"
        "    open(event.decode(), 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
    }, *SHARES_FILES)  # fmt: skip
    flag = tmp_path / "running"
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(server.invoke, "default/sleeps", str(flag).encode())
        pid = int(wait_until(lambda: flag.exists() and flag.read_text(), "the call to run"))
        os.kill(pid, signal.SIGKILL)
        response = call.result(5)

    assert response.headers["X-Fc-Error-Type"] == UNHANDLED
    assert response.json["errorMessage"].startswith("Process exited unexpectedly")
