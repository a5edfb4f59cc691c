"""Bodies of the log service, packed and unpacked. Unpacking stops at the size that was told, and at 30 MB."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import lz4.block

from pyfc.cloud.sls.faults import Fault

MOST = 30 * 1024 * 1024
"""Bytes of a body, packed or not."""


def unpack(kind: str, body: bytes, told: str | None, most: int = MOST) -> bytes:
    """A body as it was before it was packed. `kind`: x-log-compresstype, '' for one that was not; `told`:
    x-log-bodyrawsize, which is at most `most`. Raises Fault.
    """
    size = _size(kind, body, told, most)
    if not kind:
        return body
    make = _UNPACK.get(kind.lower())
    if make is None:
        raise Fault("InvalidCompressType", f"x-log-compresstype {kind[:50]} is unsupported: there are {_names()}.")
    found = make(body, size)
    if found is None or len(found) != size:
        raise Fault("PostBodyUncompressError", f"The body is no {kind[:50]} of {size} bytes (x-log-bodyrawsize).")
    return found


def pack(accepted: str, data: bytes) -> tuple[str, bytes]:
    """What an answer's body becomes for a client that accepts this (Accept-Encoding), and how that is called; '' for
    nothing.
    """
    for name in accepted.lower().split(","):
        make = _PACK.get(name.partition(";")[0].strip())
        if make is not None:
            return name.partition(";")[0].strip(), make(data)
    return "", data


def _size(kind: str, body: bytes, told: str | None, most: int) -> int:
    if told is None and kind:
        raise Fault("MissingBodyRawSize", "x-log-bodyrawsize does not exist in header when it is necessary.")
    if told is not None and not (told.isascii() and told.isdigit() and len(told) < 12):
        raise Fault("InvalidBodyRawSize", "x-log-bodyrawsize is invalid.")
    size = len(body) if told is None else int(told)
    if max(size, len(body)) > most:
        raise Fault("PostBodyTooLarge", f"The body has {max(size, len(body))} bytes, more than {most}.")
    return size


def _lz4(body: bytes, size: int) -> bytes | None:
    try:
        return bytes(lz4.block.decompress(body, uncompressed_size=size))
    except (lz4.block.LZ4BlockError, ValueError, MemoryError):
        return None


def _deflate(body: bytes, size: int) -> bytes | None:
    made = zlib.decompressobj()
    try:
        found = made.decompress(body, size + 1)
    except zlib.error:
        return None
    return found if made.eof and not made.unused_data else None


def _zstd(body: bytes, size: int) -> bytes | None:
    try:
        import zstandard  # noqa: PLC0415  an extra
    except ImportError:
        raise Fault(
            "InvalidCompressType", "x-log-compresstype zstd needs `pip install pyfc[zstd]`; lz4 does not."
        ) from None
    reader = zstandard.ZstdDecompressor(max_window_size=MOST).stream_reader(io.BytesIO(body))
    try:
        return reader.read(size + 1)
    except zstandard.ZstdError:
        return None


def _names() -> str:
    return ", ".join(_UNPACK)


_UNPACK: dict[str, Callable[[bytes, int], bytes | None]] = {"lz4": _lz4, "deflate": _deflate, "zstd": _zstd}
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lambda data: bytes(lz4.block.compress(data, store_size=False)),
    "deflate": zlib.compress,
    "gzip": zlib.compress,  # what SLS's clients call gzip has zlib's header
}
