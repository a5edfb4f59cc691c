"""Operations on layers, FC's Layer object, and the names of layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pyfc.documents import shapes
from pyfc.documents.reader import Document, typed
from pyfc.errors import Conflict, InvalidArgument, LayerNotFound, LayerVersionNotFound
from pyfc.model.names import LATEST, is_name, whole
from pyfc.model.resources import Config, Layer
from pyfc.registry.documents import time_text
from pyfc.registry.operations import Operations, Page, Wanted, part_of
from pyfc.registry.packages import Packages
from pyfc.registry.registry import Record, number

_COUNTER = "last-layer"
"""The kind of configuration that holds the newest number of a layer, which is never used again."""


class Layers:
    """Layers and their versions."""

    def __init__(self, operations: Operations, packages: Packages) -> None:
        self._operations = operations
        self._packages = packages

    async def publish(self, name: str, document: Document) -> Record[Layer]:
        """A new version of a layer."""
        if not is_name(name):
            raise InvalidArgument(message=f"'{name}' can not be the name of a layer")
        _, said = typed(document, shapes.Layer)
        operations = self._operations
        with operations.keeping():
            code = await self._packages.need(document)
            async with operations.turn:
                before = await operations.registry.all(Layer, name)
                last = await self._last(name, before)
                layer = Layer(
                    name=name,
                    number=last + 1,
                    code=code,
                    description=said.description,
                    compatible_runtime=tuple(said.compatible_runtime),
                    license=said.license,
                    is_public=before[-1].value.is_public if before else False,
                )
                exists = Conflict(message=f"layer '{name}' was published by somebody else")
                newest = Config(kind=_COUNTER, service=name, function="", document={"number": last + 1})
                return await operations.create(layer, exists, [newest])

    async def _last(self, name: str, before: Sequence[Record[Layer]]) -> int:
        """The newest number that a layer has had, those that were deleted among them."""
        counter = await self._operations.registry.get(Config, _COUNTER, name, "", LATEST)
        counted = int(counter.value.document["number"]) if counter is not None else 0
        return max(counted, before[-1].value.number if before else 0)

    async def get(self, name: str, version: str) -> Record[Layer]:
        """A version of a layer. Raises LayerNotFound, LayerVersionNotFound."""
        if not await self._operations.registry.page(Layer, name, limit=1):
            raise LayerNotFound(layer=name)
        missing = LayerVersionNotFound(layer=name, version=version)
        numbered = whole(version)
        if numbered is None:
            raise missing
        return await self._operations.need(missing, Layer, name, number(numbered))

    async def newest(self, wanted: Wanted, *, public: bool = False) -> Page:
        """The newest version of each layer."""
        newest: dict[str, Record[Layer]] = {}
        for record in await self._operations.registry.all(Layer):
            if record.value.name.startswith(wanted.prefix) and (record.value.is_public or not public):
                newest[record.value.name] = record
        found = [record for name, record in newest.items() if name > wanted.after]
        page = part_of(found[: wanted.limit + 1], 0, wanted)
        return page._replace(next_token=page.next_token.partition("/")[0])

    async def versions(self, name: str) -> list[Record[Layer]]:
        """Every version of a layer, the newest first."""
        return list(reversed(await self._operations.registry.all(Layer, name)))

    async def delete(self, name: str, version: str) -> None:
        """Delete a version. Functions that have it go on: their copy is their own."""
        async with self._operations.turn:
            await self._operations.delete(await self.get(name, version))

    async def share(self, name: str, *, public: bool) -> None:
        """Make all versions of a layer public, or private."""
        async with self._operations.turn:
            records = await self._operations.registry.all(Layer, name)
            if not records:
                raise LayerNotFound(layer=name)
            for record in records:
                await self._operations.replace(record, dataclasses.replace(record.value, is_public=public))


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
