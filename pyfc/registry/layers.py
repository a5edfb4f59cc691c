"""FC's Layer object and the names of layers."""

from __future__ import annotations

from pyfc.errors import InvalidArgument
from pyfc.model.names import is_name, whole
from pyfc.model.resources import Layer
from pyfc.registry.documents import Document, time_text
from pyfc.registry.registry import Record


def layer_document(record: Record[Layer], location: str, account: str, region: str) -> Document:
    """FC's Layer object. `location`: where its archive can be had."""
    layer = record.value
    arn = layer_arn(layer, account, region)
    return {
        "layerName": layer.name,
        "version": layer.number,
        "description": layer.description,
        "code": {"repositoryType": "OSS", "location": location},
        "codeSize": layer.code.size,
        "codeSizeInBytes": layer.code.size,
        "codeChecksum": layer.code.checksum,
        "createTime": time_text(record.created),
        "acl": int(layer.is_public),
        "compatibleRuntime": list(layer.compatible_runtime),
        "license": layer.license,
        "arn": arn,
        "arnV2": arn,
        "layerVersionArn": arn,
    }


def layer_arn(layer: Layer, account: str, region: str) -> str:
    """By which functions name it."""
    return f"acs:fc:{region}:{account}:layers/{layer.name}/versions/{layer.number}"


def layer_of_arn(arn: str) -> tuple[str, int]:
    """Name and version of a layer's ARN, in either of FC's forms. Raises InvalidArgument."""
    if arn.count("#") == 2:
        _, name, version = arn.split("#")
    else:
        name, _, version = arn.rpartition(":layers/")[2].partition("/versions/")
    numbered = whole(version)
    if not is_name(name) or numbered is None:
        raise InvalidArgument(
            message=f"'{arn}' is no layer; it must be like acs:fc:REGION:ACCOUNT:layers/NAME/versions/1"
        )
    return name, numbered
