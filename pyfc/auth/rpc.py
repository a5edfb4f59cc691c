"""Signature 1.0 of Alibaba Cloud's RPC APIs: HMAC-SHA1 of all parameters, which are in the query or in a form."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

from pyfc.auth.keys import Key
from pyfc.auth.once import Once
from pyfc.auth.signature import Find, check_time, is_same, key_of
from pyfc.errors import MissingRequiredHeader, SignatureNotMatch

_NEEDED = ("AccessKeyId", "Signature", "SignatureNonce", "Timestamp")


def verify(find: Find, method: str, parameters: Mapping[str, str], now: float, once: Once | None) -> Key:
    """The key that a request is signed with. Raises MissingRequiredHeader, InvalidAccessKeyID, SignatureNotMatch,
    RequestTimeTooSkewed, SignatureUsed.
    """
    for name in _NEEDED:
        if not parameters.get(name):
            raise MissingRequiredHeader(header=name)
    check_time(parameters["Timestamp"], now)
    key = key_of(find, parameters["AccessKeyId"], parameters.get("SecurityToken", ""))
    if parameters.get("SignatureMethod", "HMAC-SHA1") != "HMAC-SHA1":
        raise SignatureNotMatch
    if not is_same(sign(key.secret, method, parameters), parameters["Signature"]):
        raise SignatureNotMatch
    if once is not None:
        once.check(parameters["Signature"], now, has_nonce=True)
    return key


def sign(secret: str, method: str, parameters: Mapping[str, str]) -> str:
    """The signature of these parameters, but for `Signature`."""
    pairs = sorted((name, value) for name, value in parameters.items() if name != "Signature")
    query = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)
    text = f"{method}&%2F&{_encoded(query)}"
    return base64.b64encode(hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
