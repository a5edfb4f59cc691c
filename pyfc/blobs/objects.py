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
GOOD_FOR = 3600.0
"""Seconds from the time when a name is given out until it may not be written any more."""


class Objects:
    """The objects of one server, in files named by what they are called."""

    def __init__(self, folder: Path, maximum_size: int) -> None:
        self._folder = folder
        self._maximum_size = maximum_size
        self._promised: dict[str, float] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Forget what is a day old."""
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _DAY:
                    path.unlink()

    def new_name(self) -> str:
        """A name that nobody can guess. Who was told it may write it for an hour."""
        now = time.monotonic()
        self._promised = {name: end for name, end in self._promised.items() if end > now}
        name = secrets.token_hex(16)
        self._promised[name] = now + GOOD_FOR
        return name

    def check(self, path: str, account: str) -> None:
        """Raises AccessDenied unless `path` is a name that was made here: by itself, as `{account}/{name}`, or as
        `{account}/{service}/{name}`, since clients put those before it.
        """
        *above, name = path.split("/")
        is_below = not above or (above[0] == account and len(above) <= 2 and "" not in above)
        if not is_below or self._promised.get(name, 0.0) <= time.monotonic():
            raise AccessDenied(message=f"'{path[:200]}' is no name that GetTempBucketToken has given out")

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
