"""Custom domains, layers, tags and regions."""

from __future__ import annotations

from pyfc.documents import shapes
from pyfc.documents.objects import RESOURCE_GROUP
from pyfc.documents.reader import Document
from pyfc.errors import InvalidArgument
from pyfc.gateway.api2016 import account as older
from pyfc.gateway.api2016.domains import Domains
from pyfc.gateway.api2023.documents import arn, has_tags, tags_asked
from pyfc.gateway.management import Answer, Call, Endpoint
from pyfc.model.function import Function
from pyfc.model.names import DEFAULT_SERVICE, LATEST, is_name
from pyfc.model.resources import Domain
from pyfc.registry.documents import domain_document
from pyfc.registry.operations import Wanted
from pyfc.registry.registry import Record

_VERSION = "2023-03-30"


def _domain(call: Call, record: Record[Domain]) -> Document:
    document = {"wafConfig": {"enableWAF": False}, **domain_document(record, call.api.settings.account_id, _VERSION)}
    for route in document["routeConfig"]["routes"]:
        if route["serviceName"] == DEFAULT_SERVICE:
            del route["serviceName"]
        route["qualifier"] = route["qualifier"] or LATEST
    return document


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
    keys = [*call.several("TagKey"), *call.document.get("tagKey", [])]
    names = [*call.several("ResourceId"), *call.document.get("resourceId", [])]
    is_all = call.query.get("All", "").lower() == "true" or call.document.get("all") is True
    for text in names:
        await _change(call, _function(text), {}, None if is_all else keys)
    return Answer({"RequestId": call.request_id})


async def _change(call: Call, name: str, tags: dict[str, str], removed: list[str] | None) -> None:
    record = await call.api.functions.function(DEFAULT_SERVICE, name)
    kept = {} if removed is None else {key: value for key, value in record.value.tags.items() if key not in removed}
    await call.api.functions.change(DEFAULT_SERVICE, name, tags={**kept, **tags})


async def tags(call: Call) -> Answer:
    """Tell the tags of functions: of those that are named, or of all; `Tag`: only of functions that have them."""
    names = {_function(each) for each in call.several("ResourceId")}
    for name in names:
        await call.api.functions.function(DEFAULT_SERVICE, name)
    asked = tags_asked(call, "Tag")

    def is_meant(function: Function) -> bool:
        return bool(function.tags) and (not names or function.name in names) and has_tags(function, asked)

    wanted = Wanted.read({"limit": call.query.get("Limit", ""), "nextToken": call.query.get("NextToken", "")})
    found = await call.api.operations.page(Function, DEFAULT_SERVICE, wanted=wanted, where=is_meant)
    listed = [
        {"ResourceType": "function", "ResourceId": arn(call, record.value.name), "TagKey": key, "TagValue": value}
        for record in found.records
        for key, value in record.value.tags.items()
    ]
    return Answer({"RequestId": call.request_id, "TagResources": listed, "NextToken": found.next_token})


async def regions(call: Call) -> Answer:
    """Tell the one region there is."""
    region = call.api.settings.region
    return Answer({"Regions": {"Region": [{"RegionId": region, "LocalName": region}]}})


async def move(call: Call) -> Answer:
    """Let a function belong to another group; that is kept and told."""
    name, group = _function(call.document["resourceId"]), call.document["newResourceGroupId"]
    old = (await call.api.functions.function(DEFAULT_SERVICE, name)).value.extras.get("resourceGroupId")
    await call.api.functions.update(DEFAULT_SERVICE, name, {"resourceGroupId": group}, "")
    return Answer({
        "ResourceId": arn(call, name),
        "OldResourceGroupId": old or RESOURCE_GROUP,
        "NewResourceGroupId": group,
    })  # fmt: skip


async def resource_groups(_: Call) -> Answer:
    """Tell the one group that everything belongs to."""
    return Answer({"resourceGroups": [{"resourceGroupId": RESOURCE_GROUP, "resourceGroupName": RESOURCE_GROUP}]})


_TAGS = ("ResourceType", "ResourceId")
ENDPOINTS = (
    *Domains(_domain, DEFAULT_SERVICE).endpoints(),
    *older.ENDPOINTS,
    Endpoint("POST", "/tags-v2", "TagResources", tag, body=shapes.NewerTags),
    Endpoint("GET", "/tags-v2", "ListTagResources", tags, (*_TAGS, "Tag", "NextToken", "Limit")),
    Endpoint("DELETE", "/tags-v2", "UntagResources", untag, (*_TAGS, "TagKey", "All"), body=shapes.NewerTags),
    Endpoint("GET", "/regions", "DescribeRegions", regions, ("AcceptLanguage",)),
    Endpoint("GET", "/resource-groups", "DescribeResourceGroups", resource_groups),
    Endpoint("PUT", "/resource-groups", "ChangeResourceGroup", move, body=shapes.ResourceGroup),
)
