"""A number, a name or a word of FC's API means one thing, for good."""

from __future__ import annotations

import pytest

from support import Server, zipped

API, NEWER = "/2016-08-15", "/2023-03-30"
CODE = {"zipFile": zipped({"index.py": "def handler(event, context):\n    return event\n"})}
FUNCTION = {"functionName": "f", "runtime": "python3", "handler": "index.handler", "code": CODE}


@pytest.fixture
def server(shared: Server) -> Server:
    return shared


def make(server: Server, service: str) -> str:
    """A service with a function and a version; the path of the service."""
    made = [
        server.manage("POST", f"{API}/services", {"serviceName": service}),
        server.manage("POST", f"{API}/services/{service}/functions", FUNCTION),
        server.manage("POST", f"{API}/services/{service}/versions", {}),
    ]
    assert [answer.status for answer in made] == [200, 200, 200]
    return f"{API}/services/{service}"


def test_the_numbers_of_a_layer_are_never_used_again(server: Server) -> None:
    path = f"{API}/layers/common/versions"
    for number in (1, 2):
        assert server.manage("POST", path, {"code": CODE}).json["version"] == number
    for number in (2, 1):
        assert server.manage("DELETE", f"{path}/{number}").status == 204

    assert server.manage("POST", path, {"code": CODE}).json["version"] == 3
    assert server.manage("GET", f"{path}/1").status == 404


def test_the_numbers_of_a_service_and_of_a_function_are_not_used_again_while_it_lives(server: Server) -> None:
    path = make(server, "numbered")
    assert server.manage("DELETE", f"{path}/versions/1").status == 204
    assert server.manage("POST", f"{path}/versions", {}).json["versionId"] == "2"

    for number in ("1", "2"):
        assert server.manage("POST", f"{NEWER}/functions", {**FUNCTION, "functionName": "g"}).status == 200
        assert server.manage("POST", f"{NEWER}/functions/g/versions", {}).json["versionId"] == number
        assert server.manage("DELETE", f"{NEWER}/functions/g/versions/{number}").status == 204
        assert server.manage("DELETE", f"{NEWER}/functions/g").status == 204


def test_a_qualifier_keeps_its_name_when_that_has_latest_in_it(server: Server) -> None:
    path = make(server, "named")
    assert server.manage("POST", f"{path}/aliases", {"aliasName": "preLATEST", "versionId": "1"}).status == 200
    trigger = {"triggerName": "t", "triggerType": "http", "qualifier": "preLATEST"}
    trigger["triggerConfig"] = {"authType": "anonymous", "methods": ["GET"]}  # type: ignore[assignment]
    route = {"path": "/*", "serviceName": "named", "functionName": "f", "qualifier": "preLATEST"}
    domain = {"domainName": "named.example.com", "routeConfig": {"routes": [route]}}

    assert server.manage("POST", f"{path}/functions/f/triggers", trigger).json["qualifier"] == "preLATEST"
    [told] = server.manage("POST", f"{API}/custom-domains", domain).json["routeConfig"]["routes"]
    assert told["qualifier"] == "preLATEST"


def test_a_changed_trigger_lets_nobody_in_who_was_not_let_in_before(server: Server) -> None:
    path = make(server, "guarded") + "/functions/f/triggers"
    config = {"authType": "function", "methods": ["GET", "POST"]}
    made = server.manage("POST", path, {"triggerName": "t", "triggerType": "http", "triggerConfig": config})
    assert made.status == 200

    changed = server.manage("PUT", f"{path}/t", {"triggerConfig": {"methods": ["GET"]}})

    assert changed.json["triggerConfig"] == {"authType": "function", "methods": ["GET"]}
    assert server.request("GET", f"{API}/proxy/guarded/f/").status in {400, 403}


def test_the_networks_of_a_service_go_with_it(server: Server) -> None:
    for _ in range(2):
        assert server.manage("POST", f"{API}/services", {"serviceName": "bound"}).status == 200
        assert server.manage("GET", f"{API}/services/bound/bindings").json == {"vpcIds": []}
        assert server.manage("POST", f"{API}/services/bound/bindings", {"vpcId": "vpc-1"}).status == 200
        assert server.manage("DELETE", f"{API}/services/bound").status == 204


def alias(**words: object) -> dict[str, object]:
    return {"aliasName": "w", "versionId": "1", **words}


def routed(condition: str = "AND", **words: str) -> dict[str, object]:
    """An alias with a route policy of one item."""
    item = {"type": "header", "key": "X-Beta", "operator": "=", "value": "yes", **words}
    return alias(routePolicy={"condition": condition, "policyItems": [item]})


def trigger(kind: str = "http", **config: object) -> dict[str, object]:
    return {"triggerName": "w", "triggerType": kind, "triggerConfig": config}


WORDS: list[tuple[str, str, dict[str, object]]] = [
    ("condition", "aliases", routed(condition="XOR")),
    ("type", "aliases", routed(type="ip")),
    ("operator", "aliases", routed(operator="~")),
    ("resolvePolicy", "aliases", alias(resolvePolicy="Best")),
    ("instanceType", "functions", {**FUNCTION, "functionName": "w", "instanceType": "huge"}),
    ("logBeginRule", "", {"logConfig": {"logBeginRule": "Always"}}),
    ("tracingConfig", "", {"tracingConfig": {"type": "Zipkin"}}),
    ("authType", "functions/f/triggers", trigger(authType="magic")),
    ("authConfig", "functions/f/triggers", trigger(authType="jwt")),
    ("methods", "functions/f/triggers", trigger(methods=["BREW"])),
    ("triggerType", "functions/f/triggers", trigger("carrier-pigeon")),
]


@pytest.mark.parametrize(("name", "path", "document"), WORDS, ids=[name for name, _, _ in WORDS])
def test_a_word_that_means_nothing_here_is_refused(
    server: Server, name: str, path: str, document: dict[str, object]
) -> None:
    service = f"{API}/services/words"
    if server.manage("GET", service).status == 404:
        make(server, "words")

    answer = server.manage("POST" if path else "PUT", f"{service}/{path}".rstrip("/"), document)

    assert (answer.status, answer.json["ErrorCode"]) == (400, "InvalidArgument")
    assert name in answer.json["ErrorMessage"]


def test_a_metric_that_nobody_measures_is_refused(server: Server) -> None:
    make(server, "measured")
    path = f"{API}/services/measured.LATEST/functions/f/provision-config"
    policy = {"name": "p", "metricTarget": 0.5, "minCapacity": 0, "maxCapacity": 1}

    for metric, status in (("CPUUtilization", 400), ("ProvisionedConcurrencyUtilization", 200)):
        document = {"target": 0, "targetTrackingPolicies": [{**policy, "metricType": metric}]}
        assert server.manage("PUT", path, document).status == status
