"""Custom domains, layers, tags and regions."""

from __future__ import annotations

import json

from pyfc.documents import shapes
from pyfc.documents.reader import Document
from pyfc.errors import InvalidArgument
from pyfc.gateway.api2016 import account as older
from pyfc.gateway.api2016.domains import Domains
from pyfc.gateway.api2023.documents import arn
from pyfc.gateway.management import Answer, Call, Endpoint
from pyfc.model.function import Function
from pyfc.model.names import DEFAULT_SERVICE, is_name
from pyfc.model.resources import Domain
from pyfc.registry.documents import domain_document
from pyfc.registry.registry import Record

_VERSION = "2023-03-30"


def _domain(call: Call, record: Record[Domain]) -> Document:
    document = domain_document(record, call.api.settings.account_id, _VERSION)
    for route in document["routeConfig"]["routes"]:
        if route["serviceName"] == DEFAULT_SERVICE:
            del route["serviceName"]
    return document


def _names(call: Call) -> list[str]:
    """The functions that the query names: some clients repeat a parameter, some number it, some send a JSON list."""
    given = [*call.lists("ResourceId"), *(text for name, text in call.query.items() if name.startswith("ResourceId."))]
    found: list[str] = []
    for text in given:
        found += _listed(text) if text.startswith("[") else [text]
    return found


def _listed(text: str) -> list[str]:
    try:
        return [str(each) for each in json.loads(text)]
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(message=f"ResourceId is no JSON list: {error}") from None


def _function(text: str) -> str:
    """The function that an ARN, or its end, means."""
    name = text.rpartition("functions/")[2].partition("/")[0]
    if not is_name(name):
        raise InvalidArgument(message=f"'{text}' names no function")
    return name


async def tag(call: Call) -> Answer:
    """Set tags of functions."""
    pairs = {each["key"]: each.get("value", "") for each in call.document.get("tag", [])}
    for text in call.document.get("resourceId", []):
        await _change(call, _function(text), pairs, [])
    return Answer({"RequestId": call.request_id})


async def untag(call: Call) -> Answer:
    """Remove tags of functions, those that are named or all."""
    keys = [*call.lists("TagKey"), *(value for name, value in call.query.items() if name.startswith("TagKey."))]
    names = _names(call)
    keys += call.document.get("tagKey", [])
    names += call.document.get("resourceId", [])
    is_all = call.query.get("All", "").lower() == "true" or call.document.get("all") is True
    for text in names:
        await _change(call, _function(text), {}, None if is_all else keys)
    return Answer({"RequestId": call.request_id})


async def _change(call: Call, name: str, tags: dict[str, str], removed: list[str] | None) -> None:
    record = await call.api.functions.function(DEFAULT_SERVICE, name)
    kept = {} if removed is None else {key: value for key, value in record.value.tags.items() if key not in removed}
    await call.api.functions.change(DEFAULT_SERVICE, name, tags={**kept, **tags})


async def tags(call: Call) -> Answer:
    """Tell the tags of functions: of those that are named, or of all."""
    names = [_function(each) for each in _names(call)]
    if names:
        records = [await call.api.functions.function(DEFAULT_SERVICE, name) for name in names]
    else:
        records = await call.api.operations.registry.all(Function, DEFAULT_SERVICE)
    found = [
        {
            "ResourceType": "function",
            "ResourceId": arn(call, record.value.name),
            "TagKey": key,
            "TagValue": value,
        }
        for record in records
        for key, value in record.value.tags.items()
    ]
    return Answer({"RequestId": call.request_id, "TagResources": found})


async def regions(call: Call) -> Answer:
    """Tell the one region there is."""
    region = {"regionId": call.api.settings.region, "localName": call.api.settings.region}
    return Answer({"regions": [{**region, "regionEndpoint": call.base}]})


async def resource_groups(_: Call) -> Answer:
    """Tell the one group that everything belongs to."""
    return Answer({"resourceGroups": [{"resourceGroupId": "default", "resourceGroupName": "default"}]})


_TAGS = ("ResourceType", "ResourceId", "nextToken", "limit")
ENDPOINTS = (
    *Domains(_domain, DEFAULT_SERVICE).endpoints(),
    *older.ENDPOINTS,
    Endpoint("POST", "/tags-v2", "TagResources", tag, body=shapes.NewerTags),
    Endpoint("GET", "/tags-v2", "ListTagResources", tags, _TAGS),
    Endpoint("DELETE", "/tags-v2", "UntagResources", untag, (*_TAGS, "TagKey", "All"), body=shapes.NewerTags),
    Endpoint("GET", "/regions", "DescribeRegions", regions),
    Endpoint("GET", "/resource-groups", "DescribeResourceGroups", resource_groups),
)
