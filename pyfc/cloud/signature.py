"""What the signatures of the cloud's services have in common: how V1 and V4 are made of a text, and how texts are
written that are signed.
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import quote


def sign_v1(secret: str, text: str) -> str:
    """The signature of version 1."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode("latin-1"), "sha1")).decode()


def sign_v4(secret: str, scope: str, text: str) -> str:
    """The signature of version 4. `scope`: DAY/REGION/SERVICE/aliyun_v4_request."""
    key = f"aliyun_v4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode("utf-8", "replace"), "sha256")
    return hmac.digest(key, text.encode("latin-1", "replace"), "sha256").hex()


def encoded(text: str, safe: str = "") -> str:
    """Percent-encoded; what was no UTF-8 is as it came."""
    return quote(text.encode("utf-8", "surrogateescape"), safe=safe)


def as_header(text: str) -> str:
    """A text as its UTF-8 bytes, one a character, as header values are."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
