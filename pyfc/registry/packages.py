"""Packages of code as clients send them: in the request, or in a bucket."""

from __future__ import annotations

import base64
import binascii
import io
import os
from typing import BinaryIO

from pyfc.bundles.bundle import Bundles
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.store import Store
from pyfc.documents import shapes
from pyfc.documents.reader import Document, typed
from pyfc.errors import EntityTooLarge, InvalidArgument, ObjectNotFound
from pyfc.model.function import Code

_UPLOAD = 100 * 1024 * 1024
"""Bytes of a package that is sent with the request (FC: 100 MB)."""


class Packages:
    """Keeps what is sent."""

    def __init__(self, bundles: Bundles, buckets: Store, largest: int) -> None:
        """`largest`: bytes of a package in a bucket."""
        self._bundles = bundles
        self._buckets = buckets
        self._largest = largest

    async def keep(self, document: Document) -> Code | None:
        """What `code` of a function or a layer means; None if it means nothing."""
        _, said = typed(document.get("code") or {}, shapes.Code)
        if said.zip_file:
            return await self._uploaded(said.zip_file)
        bucket, name = said.oss_bucket_name, said.oss_object_name
        if not bucket and not name:
            return None
        with await self._opened(bucket, name) as stream:
            return await self._bundles.put_archive(stream, f"{bucket}/{name}")

    async def _opened(self, bucket: str, name: str) -> BinaryIO:
        """A package in a bucket. Raises ObjectNotFound, EntityTooLarge."""
        try:
            found, descriptor = await self._buckets.open(bucket, name)
        except Fault:
            raise ObjectNotFound(bucket=bucket, name=name) from None
        stream = os.fdopen(descriptor, "rb")
        if found.content.size > self._largest:
            stream.close()
            raise EntityTooLarge(limit=self._largest)
        return stream

    async def need(self, document: Document) -> Code:
        """The same. Raises InvalidArgument if it means nothing."""
        code = await self.keep(document)
        if code is None:
            raise InvalidArgument(message="code is missing: give zipFile, or ossBucketName and ossObjectName")
        return code

    async def _uploaded(self, text: str) -> Code:
        if len(text) > _UPLOAD * 4 // 3 + 4:
            raise EntityTooLarge(limit=_UPLOAD)
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidArgument(message=f"code.zipFile is no base64: {error}") from None
        return await self._bundles.put_archive(io.BytesIO(data), "code.zipFile")
