"""Whatever stands in a request to the management API, it is answered: what is wrong is the client's, by its name."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from declared import Where, documents, fits, last, mistaken, placed, properties
from pyfc.auth.keys import Keys
from pyfc.documents.reader import Reader
from pyfc.documents.shapes import Shape
from pyfc.errors import InvalidArgument
from pyfc.gateway.application import APIS
from pyfc.gateway.management import Endpoint
from support import Response, Server, zipped

CODE = {"zipFile": zipped({"index.py": "def handler(event, context):\n    return event\n"})}
NAMES = {
    "service": "s", "function": "f", "trigger": "t", "alias": "a", "version": "1", "layer": "l", "vpc": "v",
    "domain": "d.example.com", "invocation": "i", "session": "s", "snapshot": "s", "source": "acs:oss:r:1:b",
    "arn": "acs:fc:r:1:layers/l/versions/1",
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
    "ResourceGroup": {"resourceId": "f", "newResourceGroupId": "g"},
    "EventSource": {"sourceArn": "acs:oss:r:1:b"},
}
VALID |= {f"Newer{name}": VALID[name] for name in ("Function", "Trigger")}
BODIES = [
    (prefix, endpoint) for prefix, endpoints in APIS.items() for endpoint in endpoints if endpoint.body is not None
]
QUERIES = [(prefix, endpoint) for prefix, endpoints in APIS.items() for endpoint in endpoints if endpoint.query]
MISSING: Any = object()
_KEPT = 1.0
"""Seconds after which the server may have closed a connection that nobody uses."""


def filled(place: Path) -> Server:
    """A server with one thing of each kind, in every API."""
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
    return server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Such a server, for tests that leave anything behind."""
    server = filled(tmp_path_factory.mktemp("shapes"))
    yield server
    status, errors = server.stop()
    assert status == 0
    assert "Traceback" not in errors


class Asking:
    """A client of one server that keeps its connection: thousands of requests are made."""

    def __init__(self, server: Server) -> None:
        self.server = server
        key = Keys(server.data_dir).first()[0]
        self._key = key.id, key.secret
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)
        self._last = 0.0

    def close(self) -> None:
        self._connection.close()

    def ask(self, prefix: str, endpoint: Endpoint, document: Any, query: str = "") -> Response:
        place = re.sub(r"\{(\w+)(?::path)?\}", lambda found: quote(NAMES[found.group(1)], safe=""), endpoint.path)
        path = f"{prefix}{place}{query}"
        body = None if document is None else json.dumps(document).encode()
        if time.monotonic() - self._last > _KEPT:
            self._connection.close()
        self._connection.request(
            endpoint.method, path, body, self.server.signed_headers(endpoint.method, path, {}, self._key)
        )
        answer = self._connection.getresponse()
        body = answer.read()
        self._last = time.monotonic()
        return Response(answer.status, answer.headers, body)


@pytest.fixture(scope="module")
def asking(shared: Server) -> Iterator[Asking]:
    """Asks the server that is shared."""
    client = Asking(shared)
    yield client
    client.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
NEUTRAL = {
    "code": CODE, "runtime": "python3", "layers": [], "target": 0, "minInstances": 0, "scheduledActions": [],
    "targetTrackingPolicies": [],
}  # fmt: skip
"""What else would take long, or not be there; operations that do not know these leave them out."""
SAMPLES: list[Any] = ["x", 5, 1.5, 10**30, True, [], [[]], [5], {}, {"x": {}}]

_PART = 6
"""Without --all each property gets every sixth of them, the next property the next ones."""
EXAMPLES = settings().max_examples


@pytest.mark.parametrize(("prefix", "endpoint"), BODIES, ids=lambda value: getattr(value, "operation", value))
def test_a_mistyped_value_of_any_property_is_refused_by_its_name(
    asking: Asking, is_whole: bool, prefix: str, endpoint: Endpoint
) -> None:
    assert endpoint.body is not None
    valid = VALID.get(endpoint.body.__name__, {})
    samples = SAMPLES if prefix != "/2021-04-06" else SAMPLES[::4]  # it is served by what serves the older one
    for number, (where, kind) in enumerate(properties(endpoint.body)):
        for value in samples if is_whole else samples[number % _PART :: _PART]:
            if fits(value, kind):
                continue
            answer = asking.ask(prefix, endpoint, {**valid, **placed(where, value)})

            assert answer.status == 400, (where, value, answer.body)
            assert last(where).encode() in answer.body, (where, value, answer.body)


@settings(
    max_examples=max(3, EXAMPLES // 20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.parametrize(("prefix", "endpoint"), BODIES, ids=lambda value: getattr(value, "operation", value))
def test_what_the_description_allows_is_understood_and_one_mistake_in_it_is_named(
    asking: Asking, prefix: str, endpoint: Endpoint, data: st.DataObject
) -> None:
    assert endpoint.body is not None
    document = data.draw(documents(endpoint.body)) | NEUTRAL
    assert asking.ask(prefix, endpoint, document).status < 500

    field = data.draw(st.sampled_from(msgspec.structs.fields(endpoint.body)))
    wrong = data.draw(st.sampled_from(mistaken(field.type)))
    answer = asking.ask(prefix, endpoint, {**document, field.encode_name: wrong})

    assert (answer.status, field.encode_name in str(answer.json)) == (400, True), (document, answer.body)


@settings(
    max_examples=max(4, EXAMPLES // 6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.parametrize(("prefix", "endpoint"), BODIES, ids=lambda value: getattr(value, "operation", value))
def test_no_body_is_too_much_for_an_operation(
    asking: Asking, prefix: str, endpoint: Endpoint, data: st.DataObject
) -> None:
    assert endpoint.body is not None
    valid = VALID.get(endpoint.body.__name__, {})
    where, _ = data.draw(st.sampled_from(list(properties(endpoint.body))))
    document = {**valid, **placed(where, data.draw(JSON | st.sampled_from(SAMPLES)))}

    assert asking.ask(prefix, endpoint, document).status < 500


TEXTS = st.text(max_size=9) | st.sampled_from(
    ["\0", "a\0", "\ue000", "²", "9" * 5000, "[", "[1]", "a/b", "/", "%", "-1"]
)


@settings(
    max_examples=max(3, EXAMPLES // 10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.parametrize(("prefix", "endpoint"), QUERIES, ids=lambda value: getattr(value, "operation", value))
def test_no_parameter_is_too_much_for_an_operation(
    asking: Asking, prefix: str, endpoint: Endpoint, data: st.DataObject
) -> None:
    given_names = st.sampled_from([*endpoint.query, "limit", "nextToken", "prefix", "startKey"])
    query = urlencode(data.draw(st.dictionaries(given_names, TEXTS, max_size=3)))

    assert asking.ask(prefix, endpoint, None, f"?{query}").status < 500


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


def test_what_a_client_is_told_it_can_send_back_and_nothing_changes(tmp_path: Path) -> None:
    server = filled(tmp_path)
    paths = [
        "/2016-08-15/services/s", "/2016-08-15/services/s/functions/f", "/2016-08-15/services/s/aliases/a",
        "/2016-08-15/services/s/functions/f/triggers/t", "/2016-08-15/custom-domains/d.example.com",
        "/2023-03-30/functions/f", "/2023-03-30/functions/f/aliases/a", "/2023-03-30/functions/f/triggers/t",
        "/2023-03-30/custom-domains/d.example.com",
    ]  # fmt: skip
    for path in paths:
        told = server.manage("GET", path)
        document = {name: value for name, value in told.json.items() if name != "code"}

        again = server.manage("PUT", path, document)

        assert (again.status, again.json) == (200, told.json), (path, again.body)
        assert again.headers["Etag"] == told.headers["Etag"], path
    assert server.stop()[0] == 0
