"""Domains of FC 3: they call functions that have no HTTP trigger, and may say who calls."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from test_build import write

from support import Server

SECRET = "0123456789abcdef0123456789abcdef"
CODE = """import json
def handler(event, context):
    request = json.loads(event)
    return {"statusCode": 200, "body": " ".join([request["rawPath"], request["headers"].get("X-User", "nobody")])}
"""
FILE = """
resources:
  f:
    component: fc3
    props: {functionName: f, runtime: python3, handler: index.handler, code: ./}
  signed:
    component: fc3
    props:
      {functionName: signed, runtime: python3, handler: index.handler, code: ./, triggers: [
        {triggerName: web, triggerType: http, triggerConfig: {authType: function, methods: [GET]}}]}
  program:
    component: fc3
    props: {functionName: program, runtime: custom, code: ./, customRuntimeConfig: {command: [python3, web.py]}}
  domain:
    component: fc3-domain
    props: {domainName: www.example.com, protocol: HTTP, routeConfig: {routes: [
      {path: /signed, functionName: signed}, {path: /program, functionName: program}, {path: /*, functionName: f}]}}
"""
PROGRAM = """from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())
HTTPServer(("127.0.0.1", 9000), Handler).serve_forever()
"""
KEY = {"kty": "oct", "alg": "HS256", "k": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")}
TOKENS = {
    "jwks": {"keys": [KEY]}, "tokenLookup": "header:Authorization:Bearer ",
    "claimPassBy": "header:sub:X-User",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("domains")
    write(folder / "app", {"s.yaml": FILE, "index.py": CODE, "web.py": PROGRAM})
    found = Server(folder / "app", folder / "data")
    yield found
    found.stop()


@pytest.fixture
def by_domain(server: Server) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Says who may call by a domain of its own."""
    name = "safe.example.com"

    def declare(auth: dict[str, Any]) -> None:
        routes = [{"path": "/*", "functionName": "f"}, {"path": "/signed", "functionName": "signed"}]
        domain = {"domainName": name, "protocol": "HTTP", "routeConfig": {"routes": routes}, "authConfig": auth}
        made = server.manage("POST", "/2023-03-30/custom-domains", domain)
        assert made.status == 200, made.body

    yield declare
    server.manage("DELETE", f"/2023-03-30/custom-domains/{name}")


def get(server: Server, path: str, host: str = "www.example.com", **headers: str) -> tuple[int, bytes]:
    answer = server.request("GET", path, b"", {"Host": host, **headers})
    return answer.status, answer.body


def test_a_function_without_a_trigger_is_called_by_its_domain_alone(server: Server) -> None:
    assert get(server, "/a/b") == (200, b"/a/b nobody")
    assert get(server, "/program?q=1") == (200, b"/program?q=1")
    for host, path in (("f.default.localhost", "/"), ("127.0.0.1", "/2016-08-15/proxy/default/f/")):
        assert get(server, path, f"{host}:{server.port}")[0] == 404
    assert get(server, "/2016-08-15/proxy~www.example.com/default/f/", f"127.0.0.1:{server.port}")[0] == 400


def test_a_trigger_that_wants_signatures_wants_them_by_a_domain_that_lets_everybody(server: Server) -> None:
    status, body = get(server, "/signed")

    assert (status, json.loads(body)["ErrorCode"]) == (400, "MissingRequiredHeader")


def test_a_domain_that_wants_tokens_lets_nobody_else_call(
    server: Server, by_domain: Callable[[dict[str, Any]], None]
) -> None:
    by_domain({"authType": "jwt", "authInfo": json.dumps(TOKENS)})
    good = {"Authorization": f"Bearer {jwt.encode({'sub': 'ada'}, SECRET)}"}

    assert get(server, "/x", "safe.example.com", **good) == (200, b"/x ada")
    assert get(server, "/signed", "safe.example.com", **good) == (200, b"/signed ada"), "the domain decides"
    assert get(server, "/x", "safe.example.com")[0] == 403
    assert get(server, "/x", "safe.example.com", Authorization=f"Bearer {jwt.encode({}, SECRET[::-1])}")[0] == 403


def test_a_domain_that_wants_signatures_lets_nobody_else_call(
    server: Server, by_domain: Callable[[dict[str, Any]], None]
) -> None:
    by_domain({"authType": "function"})

    assert get(server, "/x", "safe.example.com")[0] == 400
    forged = {**server.signed_headers("GET", "/x", {}), "Authorization": "FC LTAInobody:c2lnbmF0dXJl"}
    assert get(server, "/x", "safe.example.com", **forged)[0] == 403
    signed = server.signed_headers("GET", "/x", {}, query=[])
    assert get(server, "/x", "safe.example.com", **signed) == (200, b"/x nobody")


@pytest.mark.parametrize(
    ("auth", "complaint"),
    [
        ({"authType": "basic", "authInfo": "{}"}, "authConfig.authType"),
        ({"authType": "jwt"}, "authConfig has no authInfo"),
        ({"authType": "jwt", "authInfo": "{"}, "authConfig.authInfo checks no tokens"),
    ],
)
def test_what_would_check_nothing_is_refused(server: Server, auth: dict[str, Any], complaint: str) -> None:
    domain = {"domainName": "open.example.com", "protocol": "HTTP", "authConfig": auth}
    answer = server.manage("POST", "/2023-03-30/custom-domains", domain)

    assert answer.status == 400
    assert complaint in answer.json["Message"]
