"""Blobs in a folder: `folder/<digest>`, written beside and renamed into place."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from pyfc.errors import NotFound, keeping

_CHUNK = 1024 * 1024


class DiskBlobs:
    """See interface.Blobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for unfinished in folder.glob(".new-*"):
            unfinished.unlink()

    async def put(self, stream: BinaryIO) -> str:
        """See Blobs."""
        return await asyncio.to_thread(self._put, stream)

    def _put(self, stream: BinaryIO) -> str:
        with keeping():
            return self._write(stream)

    def _write(self, stream: BinaryIO) -> str:
        digest = hashlib.sha256()
        handle, name = tempfile.mkstemp(prefix=".new-", dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._folder / digest.hexdigest())
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return digest.hexdigest()

    async def open(self, digest: str) -> BinaryIO:
        """See Blobs."""
        try:
            return (self._folder / digest).open("rb")
        except FileNotFoundError:
            raise NotFound(message=f"there is no blob {digest}") from None

    async def delete(self, digest: str) -> None:
        """See Blobs."""
        (self._folder / digest).unlink(missing_ok=True)

    def digests(self) -> list[str]:
        """See Blobs."""
        return [path.name for path in self._folder.iterdir() if not path.name.startswith(".new-")]
