"""Which function an API's request belongs to, what that gets, and what the client gets of its answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pyfc.model.trigger import Trigger
from pyfc.triggers.apigateway import ERRORS, ApiError, ApiRequest, Apis, answer_of, event_of

REQUEST = ApiRequest(
    "GET", "/users/42", "a=1&b=&a=2", {"host": "shop.apigw.localhost", "x-mine": "yes", "connection": "close"}, b"",
    "10.0.0.7", "http", "request-1",
)  # fmt: skip


def _trigger(path: str = "/users/[id]", method: str = "GET", **config: Any) -> Trigger:
    name = config.pop("name", "api")
    return Trigger(
        service="demo", function=name, name=name, type="apigateway",
        config={"group": "Shop", "stage": "RELEASE", "path": path, "method": method, "apiName": name, **config},
    )  # fmt: skip


def _event(trigger: Trigger, request: ApiRequest = REQUEST, stage: str = "") -> Any:
    api, values = Apis([trigger]).find("shop", stage, request)
    return json.loads(event_of(api, values, request))


def _refused(trigger: Trigger, request: ApiRequest = REQUEST) -> tuple[str, str]:
    with pytest.raises(ApiError) as caught:
        _event(trigger, request)
    assert caught.value.status == ERRORS[caught.value.code][0]
    return caught.value.code, str(caught.value)


def _query(*parameters: dict[str, Any], **more: Any) -> Trigger:
    return _trigger(requestConfig={"requestMode": "MAPPING"}, requestParameters=list(parameters), **more)


def _parameter(name: str, place: str = "Query", **more: Any) -> dict[str, Any]:
    return {"apiParameterName": name, "location": place, "parameterType": "String", **more}


def test_passing_through_hands_on_everything() -> None:
    event = _event(_trigger())

    assert event == {
        "path": "/users/42", "httpMethod": "GET",
        "headers": {
            "Host": "shop.apigw.localhost", "X-Mine": "yes", "X-Ca-Request-Id": "request-1", "X-Ca-Stage": "RELEASE",
            "X-Forwarded-For": "10.0.0.7", "CaClientIp": "10.0.0.7",
        },
        "queryParameters": {"a": "2", "b": ""}, "pathParameters": {"id": "42"}, "body": "", "isBase64Encoded": "false",
    }  # fmt: skip


def test_a_body_is_text_or_base64_and_says_which() -> None:
    event = _event(_trigger(method="POST"), REQUEST._replace(method="POST", body=b"\xff"))
    assert (event["body"], event["isBase64Encoded"]) == ("/w==", "true")
    event = _event(_trigger(method="ANY"), REQUEST._replace(method="PUT", body="\u20ac".encode()))
    assert (event["body"], event["isBase64Encoded"], event["httpMethod"]) == ("\u20ac", "false", "PUT")


def test_mapping_hands_on_what_is_declared_under_the_names_that_are_wished() -> None:
    trigger = _query(
        _parameter("a"), _parameter("id", "Path"), _parameter("X-Mine", "Head"), _parameter("c", defaultValue="3"),
        _parameter("d"), serviceParameters=[
            {"serviceParameterName": "token", "location": "Head", "parameterCatalog": "REQUEST"},
            {"serviceParameterName": "CaClientIp", "location": "Query", "parameterCatalog": "SYSTEM"},
        ],
        serviceParametersMap=[{"requestParameterName": "a", "serviceParameterName": "token"}],
    )  # fmt: skip
    event = _event(trigger)

    assert event["queryParameters"] == {"c": "3", "CaClientIp": "10.0.0.7"}
    assert (event["headers"]["token"], event["headers"]["X-Mine"]) == ("2", "yes")
    assert "Host" not in event["headers"]
    assert event["pathParameters"] == {"id": "42"}


def test_constants_and_the_systems_parameters_are_not_the_clients() -> None:
    trigger = _query(
        _parameter("a", required="REQUIRED", defaultValue="e"), _parameter("CaStage", required="REQUIRED"),
        serviceParameters=[
            {"serviceParameterName": "a", "location": "Query", "parameterCatalog": "CONSTANT"},
            {"serviceParameterName": "CaStage", "location": "Query", "parameterCatalog": "SYSTEM"},
        ],
    )  # fmt: skip

    assert _event(trigger)["queryParameters"] == {"a": "e", "CaStage": "RELEASE"}


def test_mapping_makes_the_body_of_a_form_anew() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    request = REQUEST._replace(headers=form, body=b"x=1&y=2")
    trigger = _query(
        _parameter("x", "Body"), serviceParametersMap=[{"requestParameterName": "x", "serviceParameterName": "z"}]
    )

    assert _event(trigger, request)["body"] == "z=1"
    assert _event(trigger, request._replace(headers={"content-type": "text/plain"}))["body"] == "x=1&y=2"


@pytest.mark.parametrize(
    ("parameter", "query", "code", "told"),
    [
        (_parameter("n", required="REQUIRED"), "", "I400MP", "Parameter `n` is required"),
        (_parameter("n", parameterType="Int"), "n=x", "I400IP", "it must be a whole number"),
        (_parameter("n", parameterType="Int"), "n=%2B7", "I400IP", "it must be a whole number"),
        (_parameter("n", parameterType="Int"), "n=1_000", "I400IP", "it must be a whole number"),
        (_parameter("n", parameterType="Int"), "n=%D9%A7", "I400IP", "it must be a whole number"),
        (_parameter("n", parameterType="Int"), "n=+7", "I400IP", "it must be a whole number"),
        (_parameter("n", parameterType="Int"), "n=2147483648", "I400IP", "it must be a whole number of 32 bits"),
        (
            _parameter("n", parameterType="Long"),
            "n=9223372036854775808",
            "I400IP",
            "it must be a whole number of 64 bits",
        ),
        (_parameter("n", regularExpression="[a-z]+"), "n=ab1", "I400IP", "it does not match its regular expression"),
        (_parameter("n", parameterType="Double"), "n=nan", "I400IP", "it must be a number"),
        (_parameter("n", parameterType="Double"), "n=1_0.5", "I400IP", "it must be a number"),
        (_parameter("n", parameterType="Boolean"), "n=1", "I400IP", "it must be true or false"),
        (_parameter("n", enumValue="a,b"), "n=c", "I400IP", "it must be one of a,b"),
        (_parameter("n", parameterType="Long", maxValue=5), "n=6", "I400IP", "it is out of its range"),
        (_parameter("n", minLength=2), "n=a", "I400IP", "it is out of its range"),
    ],
)
def test_a_parameter_that_is_missing_or_wrong_is_named(
    parameter: dict[str, Any], query: str, code: str, told: str
) -> None:
    found, text = _refused(_query(parameter), REQUEST._replace(query=query))

    assert found == code
    assert "`n`" in text
    assert text.endswith(told.removeprefix("Parameter `n` "))


def test_an_end_of_a_range_that_is_no_number_ends_nothing() -> None:
    assert _event(_query(_parameter("n", minLength=[1])), REQUEST._replace(query="n=5"))["queryParameters"] == {
        "n": "5"
    }


def test_mapping_with_what_is_not_declared_hands_on_both() -> None:
    parameters = [_parameter("a", defaultValue="7"), _parameter("X-Mine", "Head")]
    trigger = _trigger(
        requestConfig={"requestMode": "MAPPING_PASSTHROUGH"}, requestParameters=parameters,
        serviceParameters=[{"serviceParameterName": "renamed", "location": "Query"}],
        serviceParametersMap=[{"requestParameterName": "X-Mine", "serviceParameterName": "renamed"}],
    )  # fmt: skip

    event = _event(trigger)

    assert event["queryParameters"] == {"b": "", "a": "2", "renamed": "yes"}
    assert event["pathParameters"] == {"id": "42"}
    assert event["headers"]["Host"] == "shop.apigw.localhost"
    assert not {"X-Mine", "Connection"} & event["headers"].keys()


@pytest.mark.parametrize(
    ("kind", "value"), [("Int", "-7"), ("Long", "9223372036854775807"), ("Double", "1e300"), ("Float", "-0.5")]
)
def test_numbers_are_taken_as_they_are_written(kind: str, value: str) -> None:
    event = _event(_query(_parameter("n", parameterType=kind)), REQUEST._replace(query=f"n={value}"))

    assert event["queryParameters"] == {"n": value}


@pytest.mark.parametrize("expression", ["^[a-z]+$", "[a-z]+", "(?=looking ahead is no part of RE2)x", "(a+)+"])
def test_a_text_that_matches_or_has_no_expression_of_re2_is_taken(expression: str) -> None:
    text = "a" * 5000

    event = _event(_query(_parameter("n", regularExpression=expression)), REQUEST._replace(query=f"n={text}"))

    assert event["queryParameters"] == {"n": text}


@pytest.mark.parametrize("query", ["n=5", "n=1", "other=1"])
def test_a_parameter_that_fits_or_is_optional_is_taken(query: str) -> None:
    parameter = _parameter("n", parameterType="Int", minValue=1, maxValue=5)

    assert "n" in _event(_query(parameter), REQUEST._replace(query=query))["queryParameters"] or query == "other=1"


def test_the_path_that_says_most_wins() -> None:
    paths = ("/users/[id]", "/users/me", "/users/*", "/[kind]/me", "/")
    apis = Apis([_trigger(path, name=f"f{number}") for number, path in enumerate(paths)])

    def found(path: str) -> str:
        return apis.find("SHOP", "", REQUEST._replace(path=path))[0].target.function

    assert [found(path) for path in ("/users/me", "/users/7", "/users/7/more", "/pets/me", "/", "/users")] == [
        "f1", "f0", "f2", "f3", "f4", "f2",
    ]  # fmt: skip
    assert apis.find("shop", "", REQUEST._replace(path="/users/a%2Fb%20c"))[1] == {"id": "a/b c"}


def test_what_belongs_to_no_api_is_refused_with_the_gateways_codes() -> None:
    assert _refused(_trigger("/else")) == ("I404NF", "API not found with `GET /users/42`")
    assert _refused(_trigger(method="POST"))[0] == "I404NF"
    with pytest.raises(ApiError, match="Invalid Domain `none`"):
        Apis([_trigger()]).find("none", "", REQUEST)
    with pytest.raises(ApiError, match="Invalid Stage `TEST`: there are RELEASE"):
        Apis([_trigger()]).find("shop", "TEST", REQUEST)
    assert _event(_trigger(stage="PRE"), stage="pre")["headers"]["X-Ca-Stage"] == "PRE"
    assert _event(_trigger(stage="PRE"))["headers"]["X-Ca-Stage"] == "PRE"
    with pytest.raises(ApiError, match="Name a Stage: PRE, TEST"):
        Apis([_trigger(stage="PRE"), _trigger(stage="TEST")]).find("shop", "", REQUEST)


def test_an_answer_is_a_json_object_with_a_status() -> None:
    answer = answer_of(json.dumps({
        "isBase64Encoded": "true", "statusCode": "201", "body": "aGk=",
        "headers": {"X-A": "1", "Set-Cookie": ["a=1", "b=2"], "Content-Length": "7", "X-Ca-Error-Code": "x"},
    }).encode())  # fmt: skip

    assert (answer.status, answer.body) == (201, b"hi")
    assert answer.headers == [("X-A", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]


@pytest.mark.parametrize(
    "result",
    [b"", b"hello", b"[]", b"{}", b'{"statusCode": 99}', b'{"statusCode": "x"}', b'{"statusCode": 200, "headers": 1}',
     b'{"statusCode": 200, "body": "!", "isBase64Encoded": true}', b'{"statusCode": 200, "headers": {"a b": "c"}}',
     b'{"statusCode": 200, "headers": {"a": "c\\nd"}}', b'{"statusCode": 200, "headers": {"a": "\\ud800"}}',
     b"[" * 100_000],
)  # fmt: skip
def test_an_answer_of_another_form_is_refused(result: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        answer_of(result)

    assert (caught.value.code, caught.value.status) == ("D502FC", 502)


def test_the_guide_has_the_table_of_errors() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "triggers.md").read_text()
    rows = re.findall(r"^\| `(\w{6})` \| (\d{3}) \| (.+) \|$", guide, re.MULTILINE)

    assert {code: (int(status), text) for code, status, text in rows} == ERRORS
    assert all(code[1:4] == str(status) for code, (status, _) in ERRORS.items())
