"""APIs of Funcraft's templates in a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support import Response, Server

CODE = """
import json, time

def handler(event, context):
    event = json.loads(event)
    what = event["queryParameters"].get("do")
    if what == "fail":
        raise ValueError("no")
    if what == "wait":
        time.sleep(5)
    if what == "text":
        return "hello"
    body = json.dumps({"path": event["path"], "id": event["pathParameters"].get("id"), "body": event["body"]})
    return {"statusCode": 201, "headers": {"X-Mine": "yes"}, "body": body, "isBase64Encoded": False}
"""
ARN = "acs:fc:::services/${demo.Arn}/functions/${hello.Arn}/"
X = "x-aliyun-apigateway-"


def _project(paths: dict[str, Any] | None = None, **properties: Any) -> dict[str, str]:
    function = {"Handler": "index.handler", "Runtime": "python3", "CodeUri": "./"}
    described: dict[str, Any] = {"StageName": "RELEASE", **({"DefinitionBody": paths} if paths else {}), **properties}
    resources = {
        "Shop": {"Type": "Aliyun::Serverless::Api", "Properties": described},
        "demo": {
            "Type": "Aliyun::Serverless::Service",
            "hello": {"Type": "Aliyun::Serverless::Function", "Properties": function},
        },
    }
    template = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": resources}
    return {"index.py": CODE, "template.yml": json.dumps(template)}


def _api(**more: Any) -> dict[str, Any]:
    return {
        f"{X}fc": {"arn": ARN, "timeout": 2000},
        **{X + name.replace("_", "-"): value for name, value in more.items()},
    }


PATHS = {
    "/users/[id]": {"get": _api(), "post": _api()},
    "/strict": {
        "get": _api(
            request_config={"requestMode": "MAPPING"},
            request_parameters=[{"apiParameterName": "do", "location": "Query", "required": "REQUIRED"}],
        ),
    },
    "/app": {"get": _api(auth_type="APP")},
}


def _get(server: Server, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Response:
    return server.request(method, path, body, {"Host": f"shop.apigw.localhost:{server.port}", **headers})


def _codes(answer: Response) -> tuple[int, str]:
    return answer.status, answer.headers["X-Ca-Error-Code"]


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(_project(PATHS))


def test_an_api_answers_at_its_host_and_at_its_path(server: Server) -> None:
    answer = _get(server, "/users/7?x=1", "POST", b"hi")

    assert (answer.status, answer.headers["X-Mine"]) == (201, "yes"), answer.body
    assert answer.json == {"path": "/users/7", "id": "7", "body": "hi"}
    assert answer.headers["X-Ca-Request-Id"]
    assert "X-Ca-Error-Code" not in answer.headers
    again = server.request("GET", "/pyfc/api/Shop/RELEASE/users/8", headers={})
    assert (again.status, again.json["id"]) == (201, "8")
    assert server.record(again.headers["X-Ca-Request-Id"])["status"] == 201


def test_what_goes_wrong_has_the_gateways_codes(server: Server) -> None:
    assert _codes(_get(server, "/none")) == (404, "I404NF")
    assert _codes(_get(server, "/users/7", "PUT")) == (404, "I404NF")
    assert _codes(_get(server, "/users/7", **{"X-Ca-Stage": "TEST"})) == (400, "I400SG")
    assert _codes(_get(server, "/strict")) == (400, "I400MP")
    assert _codes(_get(server, "/users/7?do=fail")) == (502, "D502FC")
    assert _codes(_get(server, "/users/7?do=text")) == (502, "D502FC")
    late = _get(server, "/users/7?do=wait")
    assert _codes(late) == (504, "D504TO")
    assert late.json["code"] == "D504TO"
    other = server.request("GET", "/", headers={"Host": "none.apigw.localhost"})
    assert _codes(other) == (404, "I404DO")


def test_pages_of_other_sites_may_call_what_is_for_everybody_only(server: Server) -> None:
    page = {"Origin": "https://example.com", "Sec-Fetch-Site": "cross-site"}

    assert _get(server, "/users/7", **page).status == 201
    assert _get(server, "/app").status == 201
    assert _codes(_get(server, "/app", **page)) == (400, "A400IK")


def test_an_api_for_apps_does_not_answer_to_other_machines(serve: Callable[..., Server]) -> None:
    server = serve(_project(PATHS), "--host", "0.0.0.0")

    assert _codes(_get(server, "/app")) == (400, "A400IK")
    assert _get(server, "/users/7").status == 201


def test_apis_may_stand_in_a_file_of_their_own_and_below_paths(serve: Callable[..., Server]) -> None:
    files = _project(DefinitionUri="./swagger.yml")
    server = serve(
        {**files, "swagger.yml": json.dumps({"openapi": "3.0.0", "info": {}, "paths": {"/a": {"get": _api()}}})}
    )

    assert _get(server, "/a").status == 201
    rows = server.manage("GET", "/pyfc/triggers").json["triggers"]
    assert [(row["trigger"], row["type"], row["state"]) for row in rows] == [("Shop_a_get", "apigateway", "open")]


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ({"/a": {"get": {f"{X}fc": {"arn": ARN.replace("hello", "none")}}}}, "function 'none' of"),
        ({"/a": {"get": {f"{X}fc": {"arn": "hello"}}}}, "acs:fc:::services/SERVICE/functions/FUNCTION/"),
        ({"/a": {"get": {}}}, "x-aliyun-apigateway-fc"),
        ({"a": {"get": _api()}}, "a path that begins with /"),
        ({"/a": {"get": _api(request_parameters=[{"apiParameterName": "x", "required": "MAYBE"}])}}, "required"),
        ({"/a": {"gett": _api()}}, "the method 'gett'; it must be one of get, post,"),
        ({"/a": {"get": _api(request_config={"requestMode": "MAPING"})}},
         "x-aliyun-apigateway-request-config.requestMode is 'MAPING'; it must be one of PASSTHROUGH, MAPPING"),
        ({"/a": {"get": _api(request_parameters=[{"apiParameterName": "x", "location": "Pfad"}])}},
         "x-aliyun-apigateway-request-parameters[0].location is 'Pfad'; it must be one of QUERY, HEAD"),
        ({"/a": {"get": _api(request_parameters=[{"apiParameterName": "x", "maxValu": 7}])}},
         "x-aliyun-apigateway-request-parameters[0].maxValu is not a property"),
        ({"/a": {"get": _api(request_parameters=[{"apiParameterName": "x", "minValue": "low"}])}},
         "x-aliyun-apigateway-request-parameters[0].minValue is 'low'; it must be a number"),
        ({"/a": {"get": _api(auth_type="ANONYMUS")}}, "x-aliyun-apigateway-auth-type is 'ANONYMUS'"),
        ({"/a": {"get": _api(request_parameter=[])}}, "did you mean x-aliyun-apigateway-request-parameters?"),
        ({"/a": {"get": {f"{X}fc": {"arn": ARN, "timeout": 0}}}}, "x-aliyun-apigateway-fc.timeout is 0"),
        ({"/a": {"get": _api(api_name="x")}, "/b": {"get": _api(api_name="x")}}, "'Shop_x'"),
    ],
)  # fmt: skip
def test_an_api_that_cannot_be_is_named(serve: Callable[..., Server], paths: dict[str, Any], told: str) -> None:
    with pytest.raises(AssertionError) as caught:
        serve(_project(paths), "--strict")

    assert told in str(caught.value)
    assert "template.yml:1" in str(caught.value)
