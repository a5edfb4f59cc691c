"""Functions like those of public sample repositories, and what a project says at its start."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

from pyfc.auth.keys import Keys
from pyfc.auth.signature import Signed, sign, string_to_sign
from support import Response, Server, template


def test_a_trigger_function_shows_its_event_as_bytes(cases: Server) -> None:
    answer = cases.invoke("samples/trigger", b'{"key":"value"}')

    assert answer.body == b'mns_topic trigger event = b\'{"key":"value"}\''


def test_a_timer_function_reads_its_payload(cases: Server) -> None:
    event = b'{"triggerTime": "2023-01-01T00:00:00Z", "triggerName": "timer", "payload": "TestPayload"}'

    assert cases.invoke("samples/timer", event).body == b"Timer Payload: TestPayload"


def test_a_checker_reaches_the_network_as_the_users_programs_do(cases: Server) -> None:
    open_port = cases.invoke("samples/checker", b'{"port": %d}' % cases.port)
    closed_port = cases.invoke("samples/checker", b"{}")
    path = "/2016-08-15/proxy/samples/http_checker/"
    over_http = cases.request("GET", f"{path}?name=fc", None, cases.signed_headers("GET", path, {}, query=["name=fc"]))

    assert open_port.json == {"Available": True}
    assert closed_port.json["Reason"].endswith("Connection refused")
    assert over_http.json["Available"] is False


def test_a_handler_in_a_folder_and_code_in_a_zip_are_found(cases: Server) -> None:
    assert cases.invoke("samples/nested").body == b"from deeper"
    assert cases.invoke("samples/packed").body == b"from a zip"


def test_what_is_not_supported_or_not_checked_is_said_at_start(cases: Server) -> None:
    notes = cases.ready["notes"]

    assert any(
        "not supported yet: runtime java11 of other/java (this pyfc serves custom, nodejs, php, python3, ruby)" in note
        for note in notes
    )
    assert any(note.startswith("python3 is Python 3.") and "; python3.9 is Python 3." in note for note in notes)
    assert any(note.startswith("sandbox: ") for note in notes)


def test_a_trigger_with_authtype_function_wants_a_signature(serve: Callable[..., Server]) -> None:
    text = template({"web": {"http": ["GET"]}}).replace("ANONYMOUS", "function")
    files = {
        "template.yml": text,
        "index.py": "def handler(environ, start_response):\n    start_response('200 OK', [])\n    return []\n",
    }
    server, path = serve(files), "/2016-08-15/proxy/demo/web/"
    key = Keys(server.data_dir).first()[0]

    def signed(date: str) -> Response:
        request = Signed("GET", path, {"date": date}, is_trigger=True)
        whole = sign(key.secret, string_to_sign(request, date, []))
        return server.request("GET", path, None, {"Date": date, "Authorization": f"FC {key.id}:{whole}"})

    missing = server.request("GET", path)
    assert (missing.status, missing.headers["X-Fc-Error-Type"]) == (400, "FcCommonError")
    assert signed(formatdate(usegmt=True)).status == 200
    late = signed(formatdate(time.time() - 1000, usegmt=True))
    assert (late.status, late.headers["X-Fc-Error-Type"]) == (403, "FcCommonError")
    wrong = server.request("GET", path, None, {"Date": formatdate(usegmt=True), "Authorization": f"FC {key.id}:x"})
    assert (wrong.status, wrong.json["ErrorCode"]) == (403, "SignatureNotMatch")


def test_loading_a_module_has_a_limit_of_its_own(serve: Callable[..., Server]) -> None:
    server = serve(
        {"slow.py": "import time\ntime.sleep(60)\ndef handler(event, context): pass\n"}, PYFC_LOAD_TIMEOUT="0.5"
    )

    answer = server.invoke("default/slow")

    assert answer.json["errorMessage"].startswith("Loading the handler's module timed out after 0.5 seconds")


def test_loading_a_module_does_not_count_for_the_calls_timeout(serve: Callable[..., Server]) -> None:
    server = serve({
        "template.yml": template({"slow": {"Timeout": 1}}),
        "index.py": "import time\ntime.sleep(1.2)\ndef handler(event, context): return 'in time'\n",
    })  # fmt: skip

    answer = server.invoke("demo/slow")

    assert answer.body == b"in time"
    assert float(answer.headers["X-Fc-Invocation-Duration"]) < 1000


def test_a_server_on_ipv6_loopback_knows_its_name(serve: Callable[..., Server]) -> None:
    import http.client

    server = serve({}, "--host", "::1")

    assert server.endpoint.startswith("http://[::1]:")
    connection = http.client.HTTPConnection("::1", server.port, timeout=10)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
