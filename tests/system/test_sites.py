"""Requests that name a function by their Host, and what the pages of other sites may do with HTTP triggers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyfc.model.rewriting import rewrite
from support import Response, Server, send_raw, template, wait_until

API = "/2016-08-15"
WEB = """
import json

def handler(environ, start_response):
    origin = [("Access-Control-Allow-Origin", "https://own.example")] if environ["PATH_INFO"] == "/own" else []
    start_response("200 OK", [("Content-Type", "text/html"), *origin])
    told = {key: environ[key] for key in ("PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "fc.request_uri")}
    return [json.dumps(told).encode()]
"""
DOMAIN = "www.example.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("sites")
    (place / "project").mkdir()
    (place / "project" / "index.py").write_text(WEB)
    functions = {"Web": {"http": ["GET", "POST"]}, "other": {"http": ["GET"]}}
    (place / "project" / "template.yml").write_text(template(functions))
    started = Server(place / "project", place / "data")
    rules = {
        "equalRules": [{"match": "/api/old", "replacement": "/new"}],
        "wildcardRules": [{"match": "/api/files/*", "replacement": "/f/$1"}],
        "regexRules": [{"match": "^/api/v([0-9]+)/(.*)$", "replacement": "/${2}/version-${1}"}],
    }
    routes = [
        {"path": "/api/*", "serviceName": "demo", "functionName": "Web", "rewriteConfig": rules},
        {"path": "/api/special", "serviceName": "demo", "functionName": "other"},
        {"path": "/only-get", "serviceName": "demo", "functionName": "Web", "methods": ["GET"]},
    ]
    document = {"domainName": DOMAIN, "protocol": "HTTP", "routeConfig": {"routes": routes}}
    assert started.manage("POST", f"{API}/custom-domains", document).status == 200
    yield started
    assert started.stop()[0] == 0


def test_a_path_with_raw_utf8_is_matched_and_rewritten_as_if_percent_encoded(server: Server) -> None:
    for path in ("/api/files/\u00e9?q=\u00e9".encode(), b"/api/files/%C3%A9?q=%C3%A9"):
        head = b"GET " + path + b" HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"
        seen = json.loads(send_raw(server, head).partition(b"\r\n\r\n")[2])

        assert seen["PATH_INFO"].encode("latin-1").decode() == "/f/\u00e9"
        assert seen["fc.request_uri"] == "/f/%C3%A9?q=%C3%A9"


def ask(server: Server, path: str, host: str = DOMAIN, method: str = "GET", **headers: str) -> Response:
    return server.request(method, path, None, {"Host": host, **headers})


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/api/x?a=1", "/api/x"),
        ("/api/old", "/new"),
        ("/api/files/a/b", "/f/a/b"),
        ("/api/v2/things", "/things/version-2"),
        ("/only-get", "/only-get"),
        ("/api/a%20b", "/api/a b"),
    ],
)
def test_a_domain_leads_to_the_function_of_its_route_and_rewrites(server: Server, path: str, seen: str) -> None:
    for _ in range(3):  # a request that was seen before takes another way
        answer = ask(server, path)
        assert answer.status == 200, answer.body
        assert answer.json["PATH_INFO"] == seen
        assert answer.json["QUERY_STRING"] == path.partition("?")[2]


def test_a_request_by_a_domain_may_be_called_later(server: Server) -> None:
    answer = ask(server, "/api/x", **{"X-Fc-Invocation-Type": "Async"})
    assert (answer.status, answer.body) == (202, b"")
    number = answer.headers["X-Fc-Request-Id"]
    wait_until(lambda: [each for each in server.records if each["requestId"] == number], "the call")


def test_the_longest_route_wins_and_what_has_none_is_told(server: Server) -> None:
    assert ask(server, "/api/special", method="POST").status == 403  # `other` takes GET only
    missing = ask(server, "/nothing")
    assert (missing.status, missing.json["ErrorCode"]) == (404, "RouteNotFound")
    assert ask(server, "/only-get", method="POST").status == 403
    assert ask(server, "/api/x", host="unknown.example.com").status == 403


def test_a_domain_that_is_changed_or_deleted_is_so_at_once(server: Server) -> None:
    document = {"domainName": "brief.example.com", "protocol": "HTTP"}
    routes = {"routes": [{"path": "/*", "serviceName": "demo", "functionName": "Web"}]}
    server.manage("POST", f"{API}/custom-domains", {**document, "routeConfig": routes})
    for _ in range(3):
        assert ask(server, "/x", host="brief.example.com").status == 200
    other = {"routes": [{"path": "/*", "serviceName": "demo", "functionName": "other"}]}
    server.manage("PUT", f"{API}/custom-domains/brief.example.com", {"routeConfig": other})
    assert ask(server, "/x", host="brief.example.com", method="POST").status == 403
    server.manage("DELETE", f"{API}/custom-domains/brief.example.com")
    assert ask(server, "/x", host="brief.example.com").status == 403


def test_a_domain_for_https_alone_refuses_plain_http_unless_a_proxy_has_ended_the_tls(server: Server) -> None:
    routes = {"routes": [{"path": "/*", "serviceName": "demo", "functionName": "Web"}]}
    document = {"domainName": "safe.example.com", "protocol": "HTTPS", "routeConfig": routes}
    assert server.manage("POST", f"{API}/custom-domains", document).status == 200

    for _ in range(3):
        refused = ask(server, "/x", host="safe.example.com")
        assert (refused.status, refused.json["ErrorCode"]) == (403, "AccessDenied")
        assert "X-Forwarded-Proto" in refused.json["ErrorMessage"]
        assert ask(server, "/x", host="safe.example.com", **{"X-Forwarded-Proto": "https"}).status == 200
        assert ask(server, "/x", host="safe.example.com", **{"X-Forwarded-Proto": "http"}).status == 403
    both = {"protocol": "HTTP,HTTPS"}
    assert server.manage("PUT", f"{API}/custom-domains/safe.example.com", both).status == 200
    assert ask(server, "/x", host="safe.example.com").status == 200


def test_a_function_has_a_name_on_localhost(server: Server) -> None:
    assert ask(server, "/a/b?c=1", host=f"web.demo.localhost:{server.port}").json["PATH_INFO"] == "/a/b"
    missing = ask(server, "/", host="nope.demo.localhost")
    assert (missing.status, missing.json["ErrorCode"]) == (404, "FunctionNotFound")


def test_other_sites_may_read_what_a_trigger_answers_unless_the_function_says_otherwise(server: Server) -> None:
    path = f"{API}/proxy/demo/Web"
    free = server.request("GET", f"{path}/", None, {"Origin": "https://a.example"})
    own = server.request("GET", f"{path}/own", None, {"Origin": "https://a.example"})
    none = server.request("GET", f"{path}/", None)

    assert free.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert free.headers["Access-Control-Allow-Credentials"] == "true"
    assert own.headers.get_all("Access-Control-Allow-Origin") == ["https://own.example"]
    assert none.headers["Access-Control-Allow-Origin"] is None


def test_a_preflight_is_answered_for_the_function(server: Server) -> None:
    asked = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-a",
    }
    answer = server.request("OPTIONS", f"{API}/proxy/demo/Web/", None, asked)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "x-a"
    managed = server.request("OPTIONS", f"{API}/services", None, asked)
    assert managed.status == 403
    assert "Access-Control-Allow-Origin" not in managed.headers


@pytest.mark.parametrize(
    ("rules", "path", "seen"),
    [
        ({"wildcardRules": [{"match": "/a/*", "replacement": "/b/*"}]}, "/a/x/y", "/b/x/y"),
        ({"wildcardRules": [{"match": "/*/c/*", "replacement": "/$2/$1"}]}, "/a/c/d", "/d/a"),
        ({"regexRules": [{"match": "(", "replacement": "/x"}]}, "/a", "/a"),
        ({"equalRules": [{"match": "/ä", "replacement": "ö"}]}, "/%C3%A4", "/%C3%B6"),
        ({}, "/a%2Fb", "/a%2Fb"),
    ],
)
def test_rules_rewrite_paths(rules: dict[str, object], path: str, seen: str) -> None:
    assert rewrite(rules, path) == seen


PAGE = """
def handler(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    port = environ["HTTP_HOST"].rpartition(":")[2]
    return [('''<title>none</title><script>
      const base = "http://127.0.0.1:%s";
      const tries = [
        fetch(base + "/2016-08-15/services"),
        fetch(base + "/pyfc/functions"),
        fetch(base + "/2016-08-15/services/demo/functions/page/invocations", {method: "POST", mode: "no-cors"}),
        fetch(base + "/2016-08-15/services", {method: "POST", body: "{}", mode: "no-cors"}),
      ];
      const trigger = fetch(base + "/2016-08-15/proxy/demo/Web/read").then((r) => r.json());
      Promise.allSettled([...tries, trigger]).then((all) => {
        const read = all.slice(0, 2).filter((each) => each.status === "fulfilled" && each.value.ok).length;
        document.title = "read " + read + " trigger " + all[4].value.PATH_INFO;
      });
    </script>''' % port).encode()]
"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium (apt install chromium)")
@pytest.mark.long
def test_a_page_of_another_site_reaches_triggers_and_nothing_else_in_a_real_browser(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    functions = {"page": {"Handler": "page.handler", "http": ["GET"]}, "Web": {"http": ["GET"]}}
    server = serve({"page.py": PAGE, "index.py": WEB, "template.yml": template(functions)})
    url = f"http://page.demo.localhost:{server.port}/"
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
        "--virtual-time-budget=8000", "--dump-dom", url,
    ]  # fmt: skip

    page = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False).stdout

    assert "<title>read 0 trigger /read</title>" in page
    assert [each for each in server.records if each.get("function") == "page" and each["status"] == 200]
