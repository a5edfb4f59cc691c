"""HTTP functions, through the proxy path, against FC's contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import FUNCTIONS, Response, Server, send_raw


def call(server: Server, function: str, path: str = "/", method: str = "GET", **options: object) -> Response:
    return server.request(method, f"/2016-08-15/proxy/web/{function}{path}", **options)  # type: ignore[arg-type]


def test_the_wsgi_environment_is_fcs(cases: Server) -> None:
    headers = {"Content-Type": "text/x", "X-Mine": "a", "X-Fc-Secret": "b", "Accept-Encoding": "gzip", "TE": "trailers"}
    response = call(cases, "environ", "/a%20b/%E4%BD%A0?q=1&z=a%20b", "POST", body=b"abc", headers=headers)

    environ = response.json
    assert environ["REQUEST_METHOD"] == "POST"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/你"
    assert environ["QUERY_STRING"] == "q=1&z=a%20b"
    assert environ["fc.request_uri"] == "/2016-08-15/proxy/web/environ/a%20b/%E4%BD%A0?q=1&z=a%20b"
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"], environ["body"]) == ("text/x", "3", "abc")
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("FCRUNTIME", "9000")
    assert (environ["SERVER_PROTOCOL"], environ["SERVER_SOFTWARE"]) == ("HTTP/1.1", "FCRUNTIME/1.0")
    assert (environ["SCRIPT_NAME"], environ["HTTP"], environ["wsgi.url_scheme"]) == ("", "on", "http")
    assert environ["HTTP_X_FC_FUNCTION_HANDLER"] == "index.environ"
    assert (environ["HTTP_X_MINE"], environ["HTTP_ACCEPT_ENCODING"]) == ("a", "gzip")
    assert not {"HTTP_X_FC_SECRET", "HTTP_TE", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & set(environ)
    assert environ["request_id"] == response.headers["X-Fc-Request-Id"]
    assert environ["FC_FUNCTION_NAME"] == "environ"
    assert environ["wsgi.version"] == [1, 0]


def test_an_empty_path_is_a_slash_and_an_absent_body_has_length_0(cases: Server) -> None:
    environ = call(cases, "environ", "").json

    assert environ["PATH_INFO"] == "/"
    assert environ["CONTENT_LENGTH"] == "0"
    assert environ["CONTENT_TYPE"] == "application/octet-stream"
    assert environ["QUERY_STRING"] == ""


def test_headers_that_are_there_twice_are_joined(cases: Server) -> None:
    raw = send_raw(
        cases,
        b"GET /2016-08-15/proxy/web/environ/ HTTP/1.1\r\nHost: localhost\r\nX-Two: a\r\nX-Two: b\r\n"
        b"Connection: close\r\n\r\n",
    )

    assert b'"HTTP_X_TWO": "a,b"' in raw


@pytest.mark.parametrize("status", [200, 204, 301, 304, 404, 418, 500, 503])
def test_a_status_of_the_function_is_passed_on_and_is_no_error(cases: Server, status: int) -> None:
    response = call(cases, "status", f"/?{status}+Text")

    assert response.status == status
    assert response.headers["X-Fc-Error-Type"] is None
    assert response.headers["X-Mine"] == "1"
    assert response.body == (b"" if status in {204, 304} else b"body")


@pytest.mark.parametrize("status", ["", "OK", "99+No", "700+No", "100+Continue"])
def test_a_status_that_can_not_be_sent_is_a_502(cases: Server, status: str) -> None:
    response = call(cases, "status", f"/?{status}")

    assert (response.status, response.headers["X-Fc-Error-Type"]) == (502, "UnhandledInvocationError")


def test_a_function_sets_its_headers_but_not_those_that_are_the_platforms(cases: Server) -> None:
    response = call(cases, "headers")

    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert response.headers["Content-Length"] == "4"
    assert response.headers["X-Ok"] == "yes"
    assert response.headers["X-Latin"] == "caf\xe9"
    assert response.headers["Server"] is None
    assert response.headers["Transfer-Encoding"] is None
    assert response.headers.get_all("X-Fc-Request-Id") != ["forged"]
    assert len(response.headers.get_all("Date")) == 1
    assert response.headers["X-Fc-Instance-Id"].startswith("c-")
    assert response.headers["Content-Disposition"] is None


def test_a_header_that_would_split_the_response_is_a_502(cases: Server) -> None:
    response = call(cases, "bad_header")

    assert response.status == 502
    assert response.headers["X-Injected"] is None
    assert "X-Split" in response.json["errorMessage"]


def test_generators_written_bytes_and_large_bodies_arrive_whole(cases: Server) -> None:
    assert call(cases, "generates").body == b"".join(b"%d\n" % number for number in range(1000))
    assert call(cases, "writes").body == b"written returned"
    assert call(cases, "big", "/?6000000").body == b"a" * 6_000_000
    assert call(cases, "environ", "/", "POST", body=b"b" * 3_000_000).json["body"] == "b" * 3_000_000


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raises", "'missing'"),
        ("text", "invalid response type str"),
        ("forgets", "the handler returned without calling start_response"),
        ("event_style", "invalid response type str"),
    ],
)
def test_a_fault_of_an_http_function_is_a_502_with_its_error_json(cases: Server, function: str, message: str) -> None:
    response = call(cases, function)

    assert (response.status, response.headers["X-Fc-Error-Type"]) == (502, "UnhandledInvocationError")
    assert response.json["errorMessage"].startswith(message)
    assert response.headers["Content-Type"] == "application/json"


def test_a_result_over_the_limit_is_a_502(cases: Server) -> None:
    response = call(cases, "big", "/?33554433")

    assert (response.status, response.json["errorType"]) == (502, "ResponseTooLarge")


def test_a_method_that_the_trigger_does_not_name_is_a_403(cases: Server) -> None:
    response = call(cases, "get_only", "/", "POST", body=b"x")

    assert (response.status, response.headers["X-Fc-Error-Type"]) == (403, "FcCommonError")
    assert "GET" in response.json["ErrorMessage"]


def test_a_function_without_an_http_trigger_is_a_404_that_says_how_to_call_it(cases: Server) -> None:
    response = cases.request("GET", "/2016-08-15/proxy/events/echo/")

    assert (response.status, response.headers["X-Fc-Error-Type"]) == (404, "FcCommonError")
    assert "POST /2016-08-15/services/events/functions/echo/invocations" in response.json["ErrorMessage"]


def test_head_is_answered_without_a_body_but_with_its_length(cases: Server) -> None:
    response = call(cases, "writes", "/", "HEAD")

    assert (response.status, response.headers["Content-Length"], response.body) == (200, "16", b"")


def test_paths_and_headers_over_fcs_limits_are_refused(cases: Server) -> None:
    long_path = call(cases, "environ", "/" + "a" * 5000)
    many = call(cases, "environ", "/", headers={f"X-{number}": "v" * 100 for number in range(100)})

    for response in (long_path, many):
        assert (response.status, response.headers["X-Fc-Error-Type"]) == (400, "FcCommonError")
        assert response.json["ErrorCode"] == "InvalidArgument"


def test_a_whole_flask_application_runs(cases: Server) -> None:
    got = call(cases, "flask", "/hello/ada?q=1")
    posted = call(
        cases, "flask", "/hello/bob", "POST", body=b"a=1&b=2",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip

    assert got.json == {"name": "ada", "query": "1", "form": {}}
    assert posted.json["form"] == {"a": "1", "b": "2"}
    assert call(cases, "flask", "/nope").status == 404


def test_a_whole_django_application_runs(cases: Server) -> None:
    assert call(cases, "django", "/?name=ada").body == b"<h1>Home Django</h1>ada"


def test_an_http_function_of_fc_3_gets_a_json_event_and_may_answer_with_a_response(
    serve: Callable[..., Server],
) -> None:
    server = serve({
        "s.yaml": "edition: 3.0.0\nresources:\n  web:\n    component: fc3\n    props:\n      functionName: web\n"
        "      runtime: python3.10\n      handler: index.json_event\n      code: ./\n      triggers:\n"
        "        - {triggerName: http, triggerType: http,"
        " triggerConfig: {authType: anonymous, methods: [GET, POST]}}\n",
        "index.py": (FUNCTIONS / "web" / "index.py").read_text(),
    })  # fmt: skip

    answer = server.request("POST", "/2016-08-15/proxy/default/web/a?b=1", b"posted")
    plain = server.request("GET", "/2016-08-15/proxy/default/web/plain")

    assert (answer.status, answer.headers["X-Path"], answer.body) == (201, "/a", b"posted")
    assert (plain.status, plain.body) == (200, b"plain")
