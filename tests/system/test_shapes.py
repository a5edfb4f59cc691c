"""Whatever stands in a request to the management API, it is answered: what is wrong is the client's, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyfc.documents.reader import Reader
from pyfc.documents.shapes import Shape
from pyfc.errors import InvalidArgument
from pyfc.gateway.application import APIS
from pyfc.gateway.management import Endpoint
from support import Response, Server, zipped

CODE = {"zipFile": zipped({"index.py": "def handler(event, context):\n    return event\n"})}
NAMES = {
    "service": "s", "function": "f", "trigger": "t", "alias": "a", "version": "1", "layer": "l", "vpc": "v",
    "domain": "d.example.com", "invocation": "i", "arn": "acs:fc:r:1:layers/l/versions/1",
}  # fmt: skip
VALID: dict[str, dict[str, Any]] = {
    "Service": {"serviceName": "s"},
    "Function": {"functionName": "f", "runtime": "python3", "handler": "index.handler", "code": CODE},
    "Alias": {"aliasName": "a", "versionId": "1"},
    "Trigger": {"triggerName": "t", "triggerType": "http", "triggerConfig": {"authType": "anonymous"}},
    "Domain": {"domainName": "d.example.com"},
    "OnDemand": {"maximumInstanceCount": 1},
    "Concurrency": {"reservedConcurrency": 1},
    "Layer": {"code": CODE},
    "Tags": {"resourceArn": "services/s"},
}
VALID |= {f"Newer{name}": VALID[name] for name in ("Function", "Trigger")}
BODIES = [
    (prefix, endpoint) for prefix, endpoints in APIS.items() for endpoint in endpoints if endpoint.body is not None
]
QUERIES = [(prefix, endpoint) for prefix, endpoints in APIS.items() for endpoint in endpoints if endpoint.query]
Where = tuple[str, ...]
MISSING: Any = object()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one thing of each kind, in every API."""
    place = tmp_path_factory.mktemp("shapes")
    (place / "project").mkdir()
    server = Server(place / "project", place / "data")
    made = [
        server.manage("POST", "/2016-08-15/services", VALID["Service"]),
        server.manage("POST", "/2016-08-15/services/s/functions", VALID["Function"]),
        server.manage("POST", "/2023-03-30/functions", VALID["Function"]),
        server.manage("POST", "/2016-08-15/services/s/versions", {}),
        server.manage("POST", "/2016-08-15/services/s/aliases", VALID["Alias"]),
        server.manage("POST", "/2023-03-30/functions/f/versions", {}),
        server.manage("POST", "/2023-03-30/functions/f/aliases", VALID["Alias"]),
        server.manage("POST", "/2016-08-15/services/s/functions/f/triggers", VALID["Trigger"]),
        server.manage("POST", "/2023-03-30/functions/f/triggers", VALID["Trigger"]),
        server.manage("POST", "/2016-08-15/custom-domains", VALID["Domain"]),
        server.manage("POST", "/2016-08-15/layers/l/versions", VALID["Layer"]),
    ]
    assert [answer.status for answer in made] == [200] * len(made), [answer.body for answer in made]
    yield server
    status, errors = server.stop()
    assert status == 0
    assert "Traceback" not in errors


def ask(server: Server, prefix: str, endpoint: Endpoint, document: Any, query: str = "") -> Response:
    path = prefix + re.sub(r"\{(\w+)(?::path)?\}", lambda found: quote(NAMES[found.group(1)], safe=""), endpoint.path)
    return server.manage(endpoint.method, path + query, document)


def properties(shape: type[Shape], above: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Every property of a shape and of the shapes in it: where it stands (`[]` is in a list), and its kind."""
    for field in msgspec.structs.fields(shape):
        yield from kinds(field.type, (*above, field.encode_name))


def kinds(kind: Any, where: Where) -> Iterator[tuple[Where, Any]]:
    yield where, kind
    for each in getattr(kind, "__args__", ()) if not hasattr(kind, "__origin__") else ():
        if isinstance(each, type) and issubclass(each, Shape):
            yield from properties(each, where)
    if getattr(kind, "__origin__", None) is list:
        yield from kinds(kind.__args__[0], (*where, "[]"))
    elif isinstance(kind, type) and issubclass(kind, Shape):
        yield from properties(kind, where)


def placed(where: Where, value: Any) -> Any:
    """A document that has `value` at this place and nothing else."""
    if not where:
        return value
    inner = placed(where[1:], value)
    return [inner] if where[0] == "[]" else {where[0]: inner}


def fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except (ValueError, msgspec.ValidationError):
        return value == ""  # as nothing at all
    return True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
SAMPLES: list[Any] = ["x", 5, 1.5, 10**30, True, [], [[]], [5], {}, {"x": {}}]


@pytest.mark.parametrize(("prefix", "endpoint"), BODIES, ids=lambda value: getattr(value, "operation", value))
def test_a_mistyped_value_of_any_property_is_refused_by_its_name(
    shared: Server, prefix: str, endpoint: Endpoint
) -> None:
    assert endpoint.body is not None
    valid = VALID.get(endpoint.body.__name__, {})
    samples = SAMPLES if prefix != "/2021-04-06" else SAMPLES[::4]  # it is served by what serves the older one
    for where, kind in properties(endpoint.body):
        for value in samples:
            if fits(value, kind):
                continue
            answer = ask(shared, prefix, endpoint, {**valid, **placed(where, value)})

            assert answer.status == 400, (where, value, answer.body)
            name = next(part for part in reversed(where) if part != "[]")
            assert name.encode() in answer.body, (where, value, answer.body)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize(("prefix", "endpoint"), BODIES, ids=lambda value: getattr(value, "operation", value))
def test_no_body_is_too_much_for_an_operation(
    shared: Server, prefix: str, endpoint: Endpoint, data: st.DataObject
) -> None:
    assert endpoint.body is not None
    valid = VALID.get(endpoint.body.__name__, {})
    where, _ = data.draw(st.sampled_from(list(properties(endpoint.body))))
    document = {**valid, **placed(where, data.draw(JSON | st.sampled_from(SAMPLES)))}

    assert ask(shared, prefix, endpoint, document).status < 500


TEXTS = st.text(max_size=9) | st.sampled_from(
    ["\0", "a\0", "\ue000", "²", "9" * 5000, "[", "[1]", "a/b", "/", "%", "-1"]
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize(("prefix", "endpoint"), QUERIES, ids=lambda value: getattr(value, "operation", value))
def test_no_parameter_is_too_much_for_an_operation(
    shared: Server, prefix: str, endpoint: Endpoint, data: st.DataObject
) -> None:
    given_names = st.sampled_from([*endpoint.query, "limit", "nextToken", "prefix", "startKey"])
    query = urlencode(data.draw(st.dictionaries(given_names, TEXTS, max_size=3)))

    assert ask(shared, prefix, endpoint, None, f"?{query}").status < 500


@pytest.mark.parametrize("text", ["\\ud800", "x\\udfffy", "\\ud800\\ud800"])
@pytest.mark.parametrize("where", ["description", "role", "logConfig"])
def test_half_a_character_is_refused(shared: Server, text: str, where: str) -> None:
    value = f'{{"project": "{text}"}}' if where == "logConfig" else f'"{text}"'
    path = "/2016-08-15/services/s"
    body = f'{{"{where}": {value}}}'.encode()

    answer = shared.request("PUT", path, body, shared.signed_headers("PUT", path, {}))

    assert (answer.status, answer.json["ErrorCode"]) == (400, "InvalidArgument")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_have_is_refused(shared: Server, number: str) -> None:
    path = "/2016-08-15/services/s"
    body = f'{{"vendorConfig": {{"n": {number}}}}}'.encode()

    assert shared.request("PUT", path, body, shared.signed_headers("PUT", path, {})).status == 400


def test_every_property_is_known_in_any_case() -> None:
    def spelled(where: Where, value: Any) -> Any:
        return placed(tuple(name.upper() for name in where), value)

    unknown = [
        (body.__name__, where)
        for body in {endpoint.body for _, endpoint in BODIES if endpoint.body}
        for where, kind in properties(body)
        for value in SAMPLES
        if where[-1] != "[]" and fits(value, kind) and not is_known(body, where, spelled(where, value))
    ]

    assert not unknown


def is_known(body: type[Shape], where: Where, document: Any) -> bool:
    """Whether the property at `where` is found again, or missed beside another: then it was known."""
    try:
        found = Reader().read(document, body, partial=True)
    except InvalidArgument as error:
        return " has no " in str(error)
    for name in where:
        found = found[0] if name == "[]" else found.get(name, MISSING)  # type: ignore[call-overload]
        if found is MISSING:
            return False
    return True
