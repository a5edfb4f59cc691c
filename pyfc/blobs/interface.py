"""Blobs: bytes by the digest of their content."""

from __future__ import annotations

from typing import BinaryIO, Protocol


class Blobs(Protocol):
    """One place for blobs. A digest is SHA-256 in hexadecimal; the same bytes are kept once."""

    async def put(self, stream: BinaryIO) -> str:
        """Keep what is left of `stream`; its digest. A blob is whole or not there. Raises StorageFull."""

    async def open(self, digest: str) -> BinaryIO:
        """The blob for reading; the caller closes it. Raises NotFound."""

    async def delete(self, digest: str) -> None:
        """Forget it; nothing happens if it is not there."""

    def digests(self) -> list[str]:
        """Of everything that is kept."""
