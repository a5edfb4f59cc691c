"""APIs of the API gateway: which request belongs to which function, what the function gets of it and what the client
gets of its answer (contract §8.4).

1. A path has names in brackets: `/users/[id]`; `*` as its last piece is for all that follows. The path that says most
   about a request wins.
2. `PASSTHROUGH`, the usual mode, hands on everything; `MAPPING` what is declared alone, checked, under the names that
   the function shall see; `MAPPING_PASSTHROUGH` that, and what is not declared as it came.
3. What goes wrong has a code of the gateway's table (ERRORS), which the client finds in `X-Ca-Error-Code`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from pyfc.model.names import LATEST, Target
from pyfc.model.regular import WrongExpression, compiled
from pyfc.model.trigger import Trigger
from pyfc.triggers.http import FIELD, NOT_PASSED_ON, NOT_SETTABLE, TOKEN, Response, as_text, structured
from pyfc.triggers.interface import option

TYPE = "apigateway"
RELEASE = "RELEASE"
"""The stage of requests that name none."""
ERRORS = {
    "I400MP": (400, "a parameter that must be there is not"),
    "I400IP": (400, "a parameter is not of its type, or not in its range"),
    "I400SG": (400, "the group has no such stage"),
    "A400IK": (400, "the API is for apps, which this server does not know"),
    "I404DO": (404, "there is no such group"),
    "I404NF": (404, "no API has the path and method"),
    "I413RL": (413, "the body is too large"),
    "D502FC": (502, "the function has failed, or its answer has not the form that the gateway takes"),
    "D503BB": (503, "there is no room for the call"),
    "D504TO": (504, "the function has not answered in the API's time"),
}
"""Codes of the gateway's table, their statuses, and when they are answered here."""
_ANY = "ANY"
_FORM = "application/x-www-form-urlencoded"
_PLACES = {"QUERY", "HEAD", "HEADER", "PATH", "BODY"}
_WHOLE, _REAL = re.compile("-?[0-9]{1,19}"), re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_NUMBERS: dict[str, tuple[re.Pattern[str], int]] = {
    "INT": (_WHOLE, 32), "INTEGER": (_WHOLE, 32), "LONG": (_WHOLE, 64), "NUMBER": (_REAL, 0), "FLOAT": (_REAL, 0),
    "DOUBLE": (_REAL, 0),
}  # fmt: skip
"""How types of numbers are written, in ASCII's digits alone, and how many bits whole ones have."""


class ApiError(Exception):
    """The gateway answers instead of the function."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = ERRORS[code][0]


class ApiRequest(NamedTuple):
    """What a client has sent."""

    method: str
    path: str
    """Percent-encoded, after the group and the stage."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    client: str
    """Its address."""
    scheme: str
    request_id: str


class Parameter(NamedTuple):
    """A parameter of a request."""

    name: str
    place: str
    kind: str
    is_required: bool
    default: str | None
    expression: Any
    """What the whole of a text must match, by RE2; None for nothing."""
    config: Mapping[str, Any]

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Parameter:
        """From its declaration."""
        default = option(config, "defaultValue")
        return cls(
            str(option(config, "apiParameterName", "")),
            str(option(config, "location", "QUERY")).upper(),
            str(option(config, "parameterType", "String")).upper(),
            str(option(config, "required", "OPTIONAL")).upper() == "REQUIRED",
            None if default is None else str(default),
            _expression(config),
            config,
        )


def _expression(config: Mapping[str, Any]) -> Any:
    """None also for one that RE2 does not take, which is told where it is declared."""
    pattern = option(config, "regularExpression")
    try:
        return compiled(str(pattern)) if pattern else None
    except WrongExpression:
        return None


class Handed(NamedTuple):
    """A parameter that the function gets."""

    name: str
    place: str
    catalog: str
    """REQUEST, CONSTANT or SYSTEM."""
    source: Parameter | None
    """Whose value it has; None for one of the system."""
    system: str = ""


class Api(NamedTuple):
    """One API, read."""

    group: str
    stage: str
    name: str
    method: str
    pieces: tuple[str, ...]
    target: Target
    is_mapping: bool
    passes_others: bool
    """Whether what is not declared is handed on as well."""
    parameters: tuple[Parameter, ...]
    handed: tuple[Handed, ...]
    is_anonymous: bool
    timeout: float
    """Seconds."""

    @classmethod
    def read(cls, trigger: Trigger) -> Api:
        """From the trigger that stands for it."""
        config = trigger.config
        parameters = tuple(Parameter.read(each) for each in option(config, "requestParameters") or ())
        mode = str(option(option(config, "requestConfig") or {}, "requestMode", "PASSTHROUGH")).upper()
        return cls(
            str(option(config, "group", "")).lower(),
            str(option(config, "stage", RELEASE)),
            str(option(config, "apiName", trigger.name)),
            str(option(config, "method", _ANY)).upper(),
            tuple(str(option(config, "path", "/")).strip("/").split("/")),
            Target(trigger.service, trigger.function, trigger.qualifier or LATEST),
            mode.startswith("MAPPING"),
            mode == "MAPPING_PASSTHROUGH",
            parameters,
            _handed(config, parameters),
            str(option(config, "authType") or "ANONYMOUS").upper() == "ANONYMOUS",
            float(option(config, "timeout") or 3000) / 1000,
        )

    def match(self, pieces: Sequence[str]) -> dict[str, str] | None:
        """The values of the path's names for a request's (decoded) path; None if it is for another API."""
        is_open = self.pieces[-1] == "*"
        own = self.pieces[:-1] if is_open else self.pieces
        if len(pieces) < len(own) or (len(pieces) > len(own) and not is_open):
            return None
        found: dict[str, str] = {}
        for mine, theirs in zip(own, pieces, strict=False):
            if mine.startswith("[") and mine.endswith("]"):
                found[mine[1:-1]] = theirs
            elif mine != theirs:
                return None
        return found

    def answers(self, stage: str, method: str) -> bool:
        """Whether it is of a stage and for a method."""
        return self.stage.upper() == stage and self.method in {_ANY, method}

    @property
    def rank(self) -> tuple[Any, ...]:
        """The API that says most comes first."""
        return (self.pieces[-1] == "*", *(each.startswith("[") for each in self.pieces), self.method == _ANY)


def _handed(config: Mapping[str, Any], parameters: Sequence[Parameter]) -> tuple[Handed, ...]:
    """What the function gets, completed as Funcraft does: what is not said goes on as it came."""
    services = _by_name(config, "serviceParameters", "serviceParameterName")
    names = {
        request: str(option(each, "serviceParameterName", ""))
        for request, each in _by_name(config, "serviceParametersMap", "requestParameterName").items()
    }
    found = []
    for parameter in parameters:
        name = names.get(parameter.name, parameter.name)
        found.append(_given(name, services.pop(name, {}), parameter, "REQUEST"))
    rest = [_given(name, service, None, "SYSTEM") for name, service in services.items()]
    return (*found, *(each for each in rest if each.catalog == "SYSTEM"))


def _by_name(config: Mapping[str, Any], which: str, name: str) -> dict[str, Mapping[str, Any]]:
    return {str(option(each, name, "")): each for each in option(config, which) or ()}


def _given(name: str, service: Mapping[str, Any], source: Parameter | None, usual: str) -> Handed:
    place = str(option(service, "location") or (source.place if source is not None else "QUERY")).upper()
    catalog = str(option(service, "parameterCatalog") or usual).upper()
    return Handed(name, place, catalog, source, source.name if source is not None else name)


class Apis:
    """The APIs of one server at one moment."""

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self._groups: dict[str, list[Api]] = {}
        for trigger in triggers:
            api = Api.read(trigger)
            self._groups.setdefault(api.group, []).append(api)
        for apis in self._groups.values():
            apis.sort(key=lambda each: each.rank)

    def find(self, group: str, stage: str, request: ApiRequest) -> tuple[Api, dict[str, str]]:
        """The API of a request, and the values of the names in its path. `stage`: '' for the usual one. Raises
        ApiError.
        """
        apis = self._groups.get(group.lower())
        if apis is None:
            raise ApiError("I404DO", f"Invalid Domain `{group}`")
        stage = _stage(stage.upper(), {each.stage.upper() for each in apis})
        pieces = [unquote(each) for each in request.path.strip("/").split("/")]
        for api in apis:
            values = api.match(pieces) if api.answers(stage, request.method) else None
            if values is not None:
                return api, values
        raise ApiError("I404NF", f"API not found with `{request.method} {request.path}`")


def _stage(asked: str, stages: set[str]) -> str:
    """The stage that is meant: the only one, or RELEASE, where none is named. Raises ApiError."""
    stage = asked or (next(iter(stages)) if len(stages) == 1 else RELEASE)
    if stage not in stages:
        there = ", ".join(sorted(stages))
        raise ApiError("I400SG", f"Invalid Stage `{asked}`: there are {there}" if asked else f"Name a Stage: {there}")
    return stage


def event_of(api: Api, values: Mapping[str, str], request: ApiRequest) -> bytes:
    """What the function gets. Raises ApiError for a parameter that is missing or wrong."""
    added = {
        "X-Ca-Request-Id": request.request_id, "X-Ca-Stage": api.stage, "X-Forwarded-For": request.client,
        "CaClientIp": request.client,
    }  # fmt: skip
    mapped = _mapped(api, values, request) if api.is_mapping else _whole(values, request)
    text, is_base64 = as_text(mapped.pop("body"))
    event = {
        "path": unquote(request.path) or "/", "httpMethod": request.method, **mapped,
        "headers": {**mapped["headers"], **added}, "body": text, "isBase64Encoded": "true" if is_base64 else "false",
    }  # fmt: skip
    return json.dumps(event).encode()


def _whole(values: Mapping[str, str], request: ApiRequest) -> dict[str, Any]:
    headers = {name.title(): text for name, text in request.headers.items() if name not in NOT_PASSED_ON}
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    return {"headers": headers, "queryParameters": query, "pathParameters": dict(values), "body": request.body}


def _mapped(api: Api, values: Mapping[str, str], request: ApiRequest) -> dict[str, Any]:
    is_form = request.headers.get("content-type", "").lower().startswith(_FORM)
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)) if is_form else {}
    given = {
        "QUERY": dict(parse_qsl(request.query, keep_blank_values=True)), "PATH": values, "BODY": form,
        "HEAD": request.headers, "HEADER": request.headers,
    }  # fmt: skip
    found = _undeclared(api, given) if api.passes_others else {place: {} for place in _PLACES}
    for handed in api.handed:
        value = _value(handed, given, api, request)
        if value is not None:
            found.get(handed.place, found["QUERY"])[handed.name] = value
    body = urlencode(found["BODY"]).encode() if is_form or found["BODY"] else request.body
    kind = {"Content-Type": request.headers["content-type"]} if "content-type" in request.headers else {}
    return {
        "headers": {**kind, **found["HEAD"], **found["HEADER"]}, "queryParameters": found["QUERY"],
        "pathParameters": found["PATH"], "body": body,
    }  # fmt: skip


def _undeclared(api: Api, given: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """What clients have sent besides the declared parameters."""
    known = {(each.place.removesuffix("ER"), each.name.lower()) for each in api.parameters}
    found: dict[str, dict[str, str]] = {"HEADER": {}}
    for place in _PLACES - found.keys():
        rest = {name: value for name, value in given[place].items() if (place, name.lower()) not in known}
        found[place] = rest if place != "HEAD" else {
            name.title(): value for name, value in rest.items() if name not in NOT_PASSED_ON
        }  # fmt: skip
    return found


def _value(handed: Handed, given: Mapping[str, Mapping[str, str]], api: Api, request: ApiRequest) -> str | None:
    """None for an optional parameter that is not there."""
    if handed.catalog == "SYSTEM":
        return _system(handed.system, api, request)
    parameter = handed.source
    if parameter is None or handed.catalog == "CONSTANT":
        return parameter.default if parameter is not None else None
    place = given.get(parameter.place, given["QUERY"])
    name = parameter.name.lower() if parameter.place in {"HEAD", "HEADER"} else parameter.name
    value = place.get(name, parameter.default)
    if value is None and parameter.is_required:
        raise ApiError("I400MP", f"Parameter `{parameter.name}` is required")
    if value is not None:
        _check(parameter, value)
    return value


def _check(parameter: Parameter, value: str) -> None:
    """Raises ApiError for a value that is not of the parameter's type, or not one that it may have."""
    if (problem := _problem(parameter, value)) or (problem := _beyond(parameter, value)):
        raise ApiError("I400IP", f"Invalid Parameter `{parameter.name}`: it {problem}")


def _problem(parameter: Parameter, value: str) -> str:
    """What is wrong with a value's form, '' if nothing is."""
    allowed = option(parameter.config, "enumValue")
    if allowed and value not in {each.strip() for each in str(allowed).split(",")}:
        return f"must be one of {allowed}"
    if parameter.kind in _NUMBERS:
        return _no_number(parameter.kind, value)
    if parameter.kind == "BOOLEAN":
        return "" if value.lower() in {"true", "false"} else "must be true or false"
    is_matching = parameter.expression is None or parameter.expression.fullmatch(value) is not None
    return "" if is_matching else "does not match its regular expression"


def _no_number(kind: str, value: str) -> str:
    form, bits = _NUMBERS[kind]
    if form.fullmatch(value) is None:
        return f"must be a {'whole number' if bits else 'number'}"
    if bits and not -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1):
        return f"must be a whole number of {bits} bits"
    return ""


def _beyond(parameter: Parameter, value: str) -> str:
    """Whether a value, or the length of a text, is out of its range."""
    is_number = parameter.kind in _NUMBERS
    ends = ("minValue", "maxValue") if is_number else ("minLength", "maxLength")
    size = float(value) if is_number else len(value)
    low, high = (option(parameter.config, name) for name in ends)
    return "" if _limit(low, size) <= size <= _limit(high, size) else "is out of its range"


def _limit(value: Any, size: float) -> float:
    """What a declaration sets as an end of a range; nothing sets none."""
    try:
        return size if value is None else float(value)
    except (TypeError, ValueError):
        return size


def _system(name: str, api: Api, request: ApiRequest) -> str:
    """A parameter of the gateway's own; '' for what it knows nothing of here."""
    known = {
        "caclientip": request.client, "cadomain": request.headers.get("host", ""), "carequestid": request.request_id,
        "caapiname": api.name, "cahttpschema": request.scheme, "caclientua": request.headers.get("user-agent", ""),
        "castage": api.stage, "caappkey": request.headers.get("x-ca-key", ""),
    }  # fmt: skip
    return known.get(name.lower(), "")


def answer_of(result: bytes) -> Response:
    """What the client gets of a function's result. Raises ApiError for one of another form."""
    try:
        answer = json.loads(result)
        if isinstance(answer, dict) and "statusCode" in answer:
            response = structured(answer)
            if 200 <= response.status <= 599:
                return response._replace(headers=_sendable(response.headers))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, AttributeError):
        pass
    raise ApiError("D502FC", "Invalid Function Response: it must be a JSON object with statusCode, headers and body")


def _sendable(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The function's own headers, without those that are the gateway's. Raises ValueError for what is none."""
    found = []
    for name, value in headers:
        sent = value if max(value, default="") <= "\xff" else value.encode().decode("latin-1")
        if not TOKEN.fullmatch(name) or not FIELD.fullmatch(sent):
            raise ValueError(f"{name!r} is no header")
        if name.lower() not in NOT_SETTABLE and not name.lower().startswith(("x-fc-", "x-ca-")):
            found.append((name, sent))
    return found
