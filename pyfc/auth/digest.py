"""Content-MD5: what a client states of a body is compared with the body.

FC's clients write the same digest in three forms: base64 of its 16 bytes (RFC 1864), base64 of its hexadecimal text
(Node.js), and that text (Go). Each is compared. A value of no such form tells nothing of the body, and is only signed.
Java's client writes the headers of a request into its document after it has made the digest, which then can be that of
no document: nothing is compared there, as FC does not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Self

from pyfc.errors import InvalidArgument

_HEX = re.compile(rb"[0-9a-fA-F]{32}")
_SIZE = 16
_HEADERS = re.compile(rb'"headers":\{(?:"[^"]*":"[^"]*",?)*"Content-MD5":"')


class BodyDigest:
    """What a request states of its body, and what has come of that."""

    def __init__(self, stated: bytes) -> None:
        """`stated`: the header's value."""
        self._wanted = _digest_of(stated.strip())
        self._md5 = hashlib.md5(usedforsecurity=False)

    def add(self, piece: bytes | memoryview) -> Self:
        """The next bytes of the body."""
        if self._wanted is not None:
            self._md5.update(piece)
        return self

    def check(self) -> None:
        """Raises InvalidArgument if the whole body is another one than was stated."""
        if self._wanted is not None and self._md5.digest() != self._wanted:
            raise InvalidArgument(message="the body is not the one that Content-MD5 was made of")


def check_document(stated: bytes, body: bytes) -> None:
    """Raises InvalidArgument if a document is another one than was stated, unless it states that within itself."""
    if _HEADERS.search(body) is None:
        BodyDigest(stated).add(body).check()


def _digest_of(stated: bytes) -> bytes | None:
    if _HEX.fullmatch(stated):
        return bytes.fromhex(stated.decode("ascii"))
    try:
        decoded = base64.b64decode(stated, validate=True)
    except (binascii.Error, ValueError):
        return None
    if _HEX.fullmatch(decoded):
        return bytes.fromhex(decoded.decode("ascii"))
    return decoded if len(decoded) == _SIZE else None
