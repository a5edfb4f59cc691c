"""Objects in buckets: what clients upload before they name it as code (FC's temporary bucket). They are forgotten a day
later.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from pyfc.auth.digest import BodyDigest
from pyfc.errors import AccessDenied, EntityTooLarge, ObjectNotFound, keeping

TEMPORARY = "fc-temp"
"""The bucket."""
_DAY = 86400.0


class Objects:
    """The objects of one server, in files named by what they are called."""

    def __init__(self, folder: Path, maximum_size: int) -> None:
        self._folder = folder
        self._maximum_size = maximum_size
        self._promised: set[str] = set()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Forget what is a day old."""
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _DAY:
                    path.unlink()

    def new_name(self, account: str) -> str:
        """A name nobody has used."""
        name = f"{account}/{secrets.token_hex(16)}"
        self._promised.add(name)
        return name

    def check(self, name: str) -> None:
        """Raises AccessDenied unless the name was made here."""
        if name not in self._promised:
            raise AccessDenied(message=f"'{name[:200]}' is no name that GetTempBucketToken has given out")

    async def put(self, bucket: str, name: str, chunks: AsyncIterator[bytes], stated: BodyDigest) -> str:
        """Keep an object; the MD5 of its content in hexadecimal. Raises EntityTooLarge, StorageFull, InvalidArgument
        for another content than `stated`.
        """
        with keeping():
            return await self._write(bucket, name, chunks, stated)

    async def _write(self, bucket: str, name: str, chunks: AsyncIterator[bytes], stated: BodyDigest) -> str:
        digest, size = hashlib.md5(usedforsecurity=False), 0
        handle, temporary = tempfile.mkstemp(prefix=".new-", dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    self._check_size(size)
                    digest.update(chunk)
                    stated.add(chunk)
                    file.write(chunk)
            stated.check()
            Path(temporary).replace(self._path(bucket, name))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return digest.hexdigest()

    def _check_size(self, size: int) -> None:
        if size > self._maximum_size:
            raise EntityTooLarge(limit=self._maximum_size)

    def open(self, bucket: str, name: str) -> BinaryIO:
        """An object; the caller closes it. Raises ObjectNotFound."""
        try:
            return self._path(bucket, name).open("rb")
        except FileNotFoundError:
            raise ObjectNotFound(bucket=bucket, name=name) from None

    def _path(self, bucket: str, name: str) -> Path:
        return self._folder / hashlib.sha256(f"{bucket}/{name}".encode("utf-8", "surrogateescape")).hexdigest()
