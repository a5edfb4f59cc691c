"""Layers, and what belongs to the account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from pyfc.auth.signature import sign_url
from pyfc.build.official import LAYERS_OF_PACKAGES, arn_of, contents_of
from pyfc.calls.paths import NEWER
from pyfc.cloud.oss.model import TEMPORARY
from pyfc.cloud.oss.temporary import GOOD_FOR
from pyfc.documents import shapes
from pyfc.documents.reader import Document
from pyfc.gateway.management import GONE, LIST, Answer, Call, Endpoint, page
from pyfc.model.names import whole
from pyfc.model.resources import Layer
from pyfc.registry.layers import layer_document, layer_of_arn
from pyfc.registry.registry import Record

_OLDER = ("arn", "arnV2", "codeSizeInBytes")
_GOOD_FOR = timedelta(seconds=GOOD_FOR)
_LARGEST_IN_REQUEST = 104857600
"""Bytes of a package that is sent in a request."""


def layer_of(call: Call, record: Record[Layer]) -> Document:
    """FC's Layer object, in FC 3's API with one name for each thing and `acl` as text."""
    settings, layer = call.api.settings, record.value
    path = f"/pyfc/layers/{quote(layer.name)}/{layer.number}"
    expires = int((datetime.now(UTC) + _GOOD_FOR).timestamp())
    location = call.base + sign_url(call.api.keys.first()[0], path, expires)
    document = layer_document(record, location, settings.account_id, settings.region)
    if not call.request.scope["path"].startswith(NEWER):
        return document
    return {**{name: value for name, value in document.items() if name not in _OLDER}, "acl": str(document["acl"])}


def _official(call: Call, arn: str) -> Document:
    """An official layer, as far as it is known here: what is installed for it, and no package."""
    name, version = layer_of_arn(arn)
    document: Document = {
        "layerName": name,
        "version": version,
        "description": contents_of(arn),
        "layerVersionArn": arn,
    }
    if call.request.scope["path"].startswith(NEWER):
        return {**document, "acl": "1"}
    return {**document, "acl": 1, "arn": arn, "arnV2": arn}


async def publish_layer(call: Call) -> Answer:
    """Make a version of a layer."""
    return Answer(layer_of(call, await call.api.layers.publish(call.names["layer"], call.document)))


async def list_layers(call: Call) -> Answer:
    """List layers by their newest versions; of FC's official ones those that packages are installed for."""
    if call.query.get("official", "").lower() == "true":
        names = [
            name for name in LAYERS_OF_PACKAGES if name.startswith(call.wanted.prefix) and name > call.wanted.after
        ]
        region, limit = call.api.settings.region, call.wanted.limit
        official = [_official(call, arn_of(name, region)) for name in names[:limit]]
        return page("layers", official, names[limit] if len(names) > limit else "")
    found = await call.api.layers.newest(call.wanted, public=call.query.get("public", "").lower() == "true")
    return page("layers", [layer_of(call, record) for record in found.records], found.next_token)


async def list_layer_versions(call: Call) -> Answer:
    """List the versions of a layer, the newest first."""
    records = await call.api.layers.versions(call.names["layer"])
    if start := whole(call.query.get("startVersion", "")):
        records = [record for record in records if record.value.number <= start]
    limit = call.wanted.limit
    more = {"nextVersion": records[limit].value.number} if len(records) > limit else {}
    return Answer({"layers": [layer_of(call, record) for record in records[:limit]], **more})


async def get_layer(call: Call) -> Answer:
    """Tell a version of a layer."""
    return Answer(layer_of(call, await call.api.layers.get(call.names["layer"], call.names["version"])))


async def get_layer_by_arn(call: Call) -> Answer:
    """Tell the version of a layer that an ARN names."""
    arn = unquote(call.names["arn"])
    name, version = layer_of_arn(arn)
    if contents_of(arn):
        return Answer(_official(call, arn))
    return Answer(layer_of(call, await call.api.layers.get(name, str(version))))


async def delete_layer(call: Call) -> Answer:
    """Delete a version of a layer."""
    await call.api.layers.delete(call.names["layer"], call.names["version"])
    return GONE


async def share_layer(call: Call) -> Answer:
    """Make a layer public, or private again."""
    acl, public = call.query.get("acl", ""), call.query.get("public", "").lower()
    await call.api.layers.share(call.names["layer"], public=acl == "1" or public == "true")
    return Answer({})


async def account_settings(call: Call) -> Answer:
    """Tell where functions can run, and the role they have."""
    return Answer({"availableAZs": [f"{call.api.settings.region}-a"], "defaultRole": ""})


async def account_configs(call: Call) -> Answer:
    """Tell limits of the account, those that are asked for or all; numbers are text."""
    settings = call.api.settings
    size = str(settings.maximum_code_size)
    known = {
        "CodeSizeLimit": str(_LARGEST_IN_REQUEST),
        "EnhancedCodeSizeLimit": size,
        "GPUCodeSizeLimit": size,
        "Concurrency": str(settings.maximum_instance_count),
    }
    asked = [each for listed in call.lists("config") for each in listed.split(",")]
    return Answer({name: value for name, value in known.items() if name in asked or not asked})


async def reserved_capacities(_: Call) -> Answer:
    """List capacities that were bought: there are none."""
    return Answer({"reservedCapacities": []})


async def bucket_token(call: Call) -> Answer:
    """Tell where a package can be uploaded that is too large for a request."""
    api = call.api
    key, expires = api.keys.uploads, datetime.now(UTC) + _GOOD_FOR
    return Answer({
        "credentials": {
            "AccessKeyId": key.id,
            "AccessKeySecret": key.secret,
            "SecurityToken": key.token,
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "ossRegion": api.settings.region,
        "ossBucket": TEMPORARY,
        "objectName": await api.temporary.new_name(),
        "codeSizeLimit": api.settings.maximum_code_size,
    })  # fmt: skip


_LAYER = "/layers/{layer}/versions"
ENDPOINTS = (
    Endpoint("GET", "/layers", "ListLayers", list_layers, (*LIST, "public", "official")),
    Endpoint("POST", _LAYER, "CreateLayerVersion", publish_layer, body=shapes.Layer),
    Endpoint("GET", _LAYER, "ListLayerVersions", list_layer_versions, ("startVersion", "limit")),
    Endpoint("GET", _LAYER + "/{version}", "GetLayerVersion", get_layer),
    Endpoint("DELETE", _LAYER + "/{version}", "DeleteLayerVersion", delete_layer),
    Endpoint("GET", "/layerarn/{arn:path}", "GetLayerVersionByArn", get_layer_by_arn),
    Endpoint("PUT", "/layers/{layer}/acl", "PutLayerACL", share_layer, ("public", "acl")),
)
OWN = (
    Endpoint("GET", "/account-settings", "GetAccountSettings", account_settings),
    Endpoint("GET", "/accountConfigs", "GetAccountConfigs", account_configs, ("config",)),
    Endpoint("GET", "/reservedCapacities", "ListReservedCapacities", reserved_capacities, ("limit", "nextToken")),
    Endpoint("GET", "/tempBucketToken", "GetTempBucketToken", bucket_token),
    Endpoint(
        "GET",
        "/services/{service}/tempCodeBucketToken",
        "GetTempCodeBucketToken",
        bucket_token,
        ("functionName", "instanceType"),
    ),
)
"""What only this version of the API has."""
