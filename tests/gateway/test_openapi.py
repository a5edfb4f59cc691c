"""OpenAPI has the schemas of what is declared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pyfc.gateway.application import APIS
from pyfc.gateway.openapi import description

DESCRIPTION = description(APIS)
SCHEMAS = DESCRIPTION["components"]["schemas"]


def inside(value: Any, name: str) -> Iterator[Any]:
    """Every value of this name, at any depth."""
    if isinstance(value, dict):
        yield from [value[name]] if name in value else []
        value = list(value.values())
    for each in value if isinstance(value, list) else []:
        yield from inside(each, name)


def test_every_reference_leads_to_a_schema_and_every_pattern_is_one() -> None:
    references = {each for each in inside(DESCRIPTION, "$ref") if isinstance(each, str)}

    assert references
    assert {each.rpartition("/")[2] for each in references} <= SCHEMAS.keys()
    for pattern in inside(SCHEMAS, "pattern"):
        re.compile(pattern)


def test_ranges_patterns_and_what_is_required_are_told() -> None:
    function = SCHEMAS["Function"]

    assert function["required"] == ["functionName", "runtime"]
    assert function["properties"]["timeout"] == {"type": "integer", "minimum": 1, "maximum": 86400, "default": 3}
    assert function["properties"]["memorySize"]["multipleOf"] == 64
    assert re.search(SCHEMAS["Alias"]["properties"]["aliasName"]["pattern"], "LATEST") is None
    configs = SCHEMAS["Trigger"]["properties"]["triggerConfig"]["anyOf"]
    assert {"$ref": "#/components/schemas/TimerTrigger"} in configs


def test_a_change_and_an_answer_may_have_a_part_of_what_is_made() -> None:
    service = DESCRIPTION["paths"]["/2016-08-15/services/{service}"]
    [sent] = service["put"]["requestBody"]["content"].values()
    [told] = service["get"]["responses"]["2XX"]["content"].values()

    assert sent["schema"]["$ref"] == told["schema"]["$ref"] == "#/components/schemas/ServicePart"
    assert SCHEMAS["ServicePart"] == {**SCHEMAS["Service"], "required": []}


def test_whoever_sends_a_body_finds_its_schema() -> None:
    for prefix, endpoints in APIS.items():
        for endpoint in endpoints:
            if endpoint.body is not None:
                operation = DESCRIPTION["paths"][prefix + endpoint.path][endpoint.method.lower()]
                [body] = operation["requestBody"]["content"].values()
                assert endpoint.body.__name__ in body["schema"]["$ref"], endpoint.operation
