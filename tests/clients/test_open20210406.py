"""Every operation of PyPI's alibabacloud-fc-open20210406 has an endpoint that knows what it sends."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from pyfc.documents.reader import properties
from pyfc.gateway.application import APIS

client = pytest.importorskip("alibabacloud_fc_open20210406.client", reason="needs alibabacloud-fc-open20210406")
PREFIX = "/2021-04-06"
ENDPOINTS = {(each.method, re.sub(r"\{[^}]*\}", "{}", each.path)): each for each in APIS[PREFIX]}
METHODS = re.findall(r"    def \w+_with_options\(.*?(?=\n    (?:async )?def |\Z)", inspect.getsource(client), re.DOTALL)
ELSEWHERE = {
    "InvokeFunction": "no operation of the management API", "ClaimGPUInstance": "there are no machines to be rented",
    "ReleaseGPUInstance": "the same",
}  # fmt: skip
"""Operations without an endpoint, and why."""


def endpoint_of(text: str) -> Any:
    found = re.search(r"pathname=f?'([^']*)'.*?method='(\w+)'", text, re.DOTALL)
    assert found is not None
    return ENDPOINTS.get((found[2], re.sub(r"\{[^}]*\}", "{}", found[1].removeprefix(PREFIX))))


def name_of(text: str) -> str:
    found = re.search(r"action='(\w+)'", text)
    assert found is not None
    return found[1]


def test_an_operation_without_an_endpoint_has_a_reason() -> None:
    assert {name_of(text) for text in METHODS if endpoint_of(text) is None} == set(ELSEWHERE)


@pytest.mark.parametrize("text", [each for each in METHODS if name_of(each) not in ELSEWHERE], ids=name_of)
def test_an_operation_has_an_endpoint_that_knows_what_it_sends(text: str) -> None:
    endpoint = endpoint_of(text)

    assert set(re.findall(r"query\['([^']+)'\]", text)) <= {*endpoint.query}
    sent = set(re.findall(r"body\['([^']+)'\]", text))
    assert {name.lower() for name in sent} <= (set() if endpoint.body is None else set(properties(endpoint.body)))
