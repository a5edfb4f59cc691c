"""The path that a function sees, by the address at which it is called: FC 2 hands programs that are servers the whole
path at its default address, and every other way leads to the function's own path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pyfc.model.hosts import own_host
from support import Response, Server, pyfc, template, wait_until, zipped

BOOTSTRAP = """#!/usr/bin/env python3
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print("asked", self.path, flush=True)
        told = {"path": self.path, "base": self.headers.get("x-fc-base-path")}
        if self.path == "/who":
            told = [self.headers["x-fc-" + name] for name in ("function-name", "qualifier", "version-id")]
        told = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("0.0.0.0", 9000), Handler).serve_forever()
"""
WSGI = """
import json

def handler(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps({"path": environ["PATH_INFO"], "uri": environ["fc.request_uri"]}).encode()]
"""
EVENT = """
import json

def handler(event, context):
    return json.dumps({"statusCode": 200, "body": json.loads(event)["rawPath"]})
"""
PROXY = "/2016-08-15/proxy"
ASKED = "/a%20b/c?x=1"
DOMAIN = "www.example.com"
ODD = ("web", "we_b", "w" * 64, f"{'w' * 63}_")
"""Names that no host can have, or that differ in little."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("addresses")
    for name, text in {"own/bootstrap": BOOTSTRAP, "built/index.py": WSGI}.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    web: dict[str, Any] = {"Runtime": "custom", "CodeUri": "./own", "Timeout": 10, "http": ["GET"]}
    functions = {"Web": web, "built": {"CodeUri": "./built", "http": ["GET"]}, **dict.fromkeys(ODD, web)}
    (folder / "template.yml").write_text(template(functions, "shop"))
    started = Server(folder, folder / "data")
    _make_newer(started)
    routes = [
        {"path": f"/{name}/*", "serviceName": "shop", "functionName": name, "rewriteConfig": _without(name)}
        for name in ("Web", "built")
    ]
    document = {"domainName": DOMAIN, "protocol": "HTTP", "routeConfig": {"routes": routes}}
    assert started.manage("POST", "/2016-08-15/custom-domains", document).status == 200
    yield started
    assert started.stop()[0] == 0


def _without(name: str) -> dict[str, Any]:
    return {"wildcardRules": [{"match": f"/{name}/*", "replacement": "/$1"}]}


def _make_newer(server: Server) -> None:
    """Functions of FC 3: a program that is a server, and one that gets events."""
    program = {"customRuntimeConfig": {"command": ["python3", "server.py"], "port": 9000}, "runtime": "custom.debian12"}
    for name, fields, files in (
        ("newer", program, {"server.py": BOOTSTRAP}),
        ("event", {"runtime": "python3.10"}, {"index.py": EVENT}),
    ):
        function = {"functionName": name, "handler": "index.handler", "code": {"zipFile": zipped(files)}, **fields}
        trigger = {
            "triggerName": "http",
            "triggerType": "http",
            "triggerConfig": json.dumps({"authType": "anonymous", "methods": ["GET"]}),
        }
        assert server.manage("POST", "/2023-03-30/functions", function).status == 200
        assert server.manage("POST", f"/2023-03-30/functions/{name}/triggers", trigger).status == 200


def ask(server: Server, path: str, **headers: str) -> Response:
    answer = server.request("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status == 200, answer
    return answer


@pytest.mark.parametrize("version", ["2016-08-15", "2021-04-06"])
@pytest.mark.parametrize("service", ["shop", "shop.LATEST", "%73hop"])
@pytest.mark.parametrize("rest", [ASKED, "/", "", "?x=1", "//a/../b"])
def test_a_program_of_fc_2_gets_the_whole_path_at_the_default_address(
    server: Server, version: str, service: str, rest: str
) -> None:
    base = f"/{version}/proxy/{service}/Web"
    for _ in range(2):  # a request that was seen before takes another way
        assert ask(server, base + rest).json == {"path": base + rest, "base": f"{base}/"}


def test_a_program_of_fc_3_gets_its_own_path_at_the_default_address(server: Server) -> None:
    base = f"{PROXY}/default/newer"
    for rest, seen in ((ASKED, ASKED), ("", "/"), ("?x=1", "/?x=1")):
        assert ask(server, base + rest).json == {"path": seen, "base": f"{base}/"}
    assert ask(server, f"{PROXY}/default/event{ASKED}").body == b"/a b/c"


def test_a_built_in_runtime_gets_both_paths_at_the_default_address(server: Server) -> None:
    told = ask(server, f"{PROXY}/shop/built{ASKED}").json

    assert told == {"path": "/a b/c", "uri": f"{PROXY}/shop/built{ASKED}"}


@pytest.mark.parametrize("name", ["Web", "built"])
@pytest.mark.parametrize("rest", [ASKED, f"{PROXY}/shop/Web/x"])
def test_every_other_address_leads_to_the_functions_own_path(server: Server, name: str, rest: str) -> None:
    target = f"2016-08-15/proxy/shop/{name}"
    for path, headers in (
        (rest, {"Host": f"{own_host('shop', name)}:{server.port}"}),
        (f"/{name}{rest}", {"Host": DOMAIN}),
        (rest, {"X_Fc_Invocation_Target": target}),
        (rest, {"X_Fc_Invocation_Target": f"/2021-04-06/proxy/shop.LATEST/{name}/"}),
    ):
        for _ in range(2):
            told = ask(server, path, **headers).json
            assert told.get("uri", told["path"]) == rest, (path, headers)
            assert told.get("base") is None, (path, headers)


def test_an_address_of_its_own_leads_to_the_own_path_in_fc_3(server: Server) -> None:
    for rest in (ASKED, f"{PROXY}/shop/Web/x"):
        assert ask(server, rest, Host="newer.default.localhost").json == {"path": rest, "base": None}
    assert ask(server, ASKED, Host="event.default.localhost").body == b"/a b/c"


def test_the_header_asks_for_a_function_whatever_the_path_is_an_api_means(server: Server) -> None:
    target = "2016-08-15/proxy/shop/Web"
    for path in ("/2016-08-15/services", "/healthz", "/pyfc/functions", f"{PROXY}/shop/built/"):
        assert ask(server, path, X_Fc_Invocation_Target=target).json == {"path": path, "base": None}


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("", 400, "InvalidArgument"),
        ("shop/Web", 400, "InvalidArgument"),
        ("2016-08-15/proxy/shop", 400, "InvalidArgument"),
        ("2016-08-15/proxy/shop/Web/a", 400, "InvalidArgument"),
        ("2023-03-30/proxy/shop/Web", 400, "InvalidArgument"),
        ("2016-08-15/proxy~www.example.com/shop/Web", 400, "InvalidArgument"),
        ("2016-08-15/proxy/shop/nope", 404, "FunctionNotFound"),
        ("2016-08-15/proxy/nope/Web", 404, "ServiceNotFound"),
    ],
)
def test_a_target_that_can_be_none_is_told(server: Server, target: str, status: int, code: str) -> None:
    answer = server.request("GET", "/", None, {"X-Fc-Invocation-Target": target})

    assert (answer.status, answer.json["ErrorCode"]) == (status, code)
    assert code != "InvalidArgument" or "2016-08-15/proxy/SERVICE[.QUALIFIER]/FUNCTION" in answer.json["ErrorMessage"]


def test_what_a_request_asks_for_later_has_the_same_path(server: Server) -> None:
    for path, headers in ((f"{PROXY}/shop/Web/later", {}), ("/short", {"Host": own_host("shop", "Web")})):
        answer = server.request("GET", path, None, {"X-Fc-Invocation-Type": "Async", **headers})
        assert answer.status == 202, answer
        wait_until(lambda path=path: f"asked {path}" in server.log("shop", "Web"), path)


def test_every_name_has_an_address_of_its_own(server: Server) -> None:
    for name in ("Web", *ODD):
        assert ask(server, "/who", Host=own_host("shop", name)).json[0] == name


def test_names_in_small_letters_are_addresses_where_no_other_function_has_them(server: Server) -> None:
    assert ask(server, "/who", Host="WE_B.Shop.localhost.").json[0] == "we_b"
    assert ask(server, "/who", Host="web.shop.localhost").json[0] == "web"


def test_a_trigger_of_an_alias_has_an_address_of_its_own(server: Server) -> None:
    api = "/2016-08-15/services"
    service = {"serviceName": "aged"}
    function = {
        "functionName": "web",
        "runtime": "custom",
        "handler": "index.handler",
        "code": {"zipFile": zipped({"bootstrap": BOOTSTRAP})},
    }
    config = {"authType": "anonymous", "methods": ["GET"]}
    trigger = {"triggerName": "live", "triggerType": "http", "triggerConfig": config, "qualifier": "Live"}
    for path, document in (
        ("", service),
        ("/aged/functions", function),
        ("/aged/versions", {}),
        ("/aged/aliases", {"aliasName": "Live", "versionId": "1"}),
        ("/aged/functions/web/triggers", trigger),
    ):
        answer = server.manage("POST", api + path, document)
        assert answer.status == 200, answer
    host = own_host("aged", "web", "Live")
    for each in (host, own_host("aged", "web")):
        assert ask(server, "/who", Host=each).json == ["web", "Live", "1"]


def test_an_address_of_its_own_asks_for_what_the_trigger_asks_for(server: Server) -> None:
    config = {"authType": "function", "methods": ["GET"]}
    document = {"triggerName": "web", "triggerType": "http", "triggerConfig": config}
    place = "/2016-08-15/services/shop/functions/built/triggers/web"
    assert server.manage("PUT", place, document).status == 200
    try:
        answer = server.request("GET", "/", None, {"Host": own_host("shop", "built")})
        assert (answer.status, answer.headers["X-Fc-Error-Type"]) == (400, "FcCommonError")
        assert server.request("POST", "/", b"", {"Host": own_host("shop", "web")}).status == 403, "another method"
    finally:
        assert (
            server.manage("PUT", place, {**document, "triggerConfig": {**config, "authType": "anonymous"}}).status
            == 200
        )


def test_everything_that_tells_of_a_function_tells_its_address(server: Server) -> None:
    listed = {each["function"]: each.get("host") for each in server.functions() if each["service"] == "shop"}
    assert listed == {name: own_host("shop", name) for name in ("Web", "built", *ODD)}
    status, shown, errors = pyfc("list", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))
    assert status == 0, errors
    urls = {line.split()[0]: line.split()[-1] for line in shown.splitlines()}
    assert urls["shop/Web"] == f"http://{own_host('shop', 'Web')}:{server.port}/"
    assert urls["shop/built"] == f"{server.endpoint}{PROXY}/shop/built/"


def test_a_trigger_tells_an_address_that_leads_to_it(server: Server) -> None:
    for name in ("Web", "built"):
        trigger = server.manage("GET", f"/2016-08-15/services/shop/functions/{name}/triggers/web").json
        own, default = f"http://{own_host('shop', name)}:{server.port}/", f"{server.endpoint}{PROXY}/shop/{name}/"
        assert trigger["urlInternet"] == trigger["urlIntranet"]
        assert trigger["urlInternet"] in {own, default}  # as programs of this machine find such names


@pytest.mark.parametrize("host", ["bucket.oss-cn-hangzhou.localhost", "project.log.localhost"])
def test_hosts_of_the_clouds_services_are_no_functions(server: Server, host: str) -> None:
    answer = server.request("GET", "/", None, {"Host": host})

    assert b"FunctionNotFound" not in answer.body
    assert answer.status in {400, 401, 403}, "the service wants a signature"


@pytest.mark.parametrize("name", ["shop/Web", "shop/we_b", "shop/built", "default/newer"])
def test_a_trigger_that_is_fired_by_hand_sends_the_functions_own_path(server: Server, name: str) -> None:
    sending = ("trigger", "fire", name, "--set", "rawPath=/fired/a%20b", "--set", "requestContext.http.method=GET")
    status, shown, errors = pyfc(*sending, "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))

    assert status == 0, errors
    path = json.loads(shown)["path"].partition("?")[0]
    assert path == ("/fired/a b" if name == "shop/built" else "/fired/a%20b")
