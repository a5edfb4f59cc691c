"""MNS's signature, checked: `Authorization: MNS KEY:SIGNATURE`, written after what its clients send."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from urllib.parse import unquote

from pyfc.auth.keys import Key
from pyfc.auth.signature import SKEW, Find, is_same, seconds_of
from pyfc.cloud.mns.faults import Fault
from pyfc.cloud.mns.request import Sent
from pyfc.cloud.signature import as_header, sign_v1


def verify(find: Find, sent: Sent, now: float) -> Key:
    """Whose key has signed the head of a request. Raises Fault MissingAuthorizationHeader, InvalidAuthorizationHeader,
    InvalidAccessKeyId, InvalidDateHeader, TimeExpired, SignatureDoesNotMatch.
    """
    given = sent.headers.get("authorization", "")
    if not given:
        advice = "Authorization header is required: give the client an access key (`pyfc keys`)."
        raise Fault("MissingAuthorizationHeader", advice)
    scheme, _, rest = given.partition(" ")
    name, colon, signature = rest.strip().rpartition(":")
    if scheme != "MNS" or not colon:
        raise Fault("InvalidAuthorizationHeader", "Authorization must be MNS AccessKeyId:Signature.")
    key = _key(find, name, sent)
    date = sent.headers.get("date", "") or sent.headers.get("x-mns-date", "")
    _check_date(date, now)
    if not any(is_same(sign_v1(key.secret, text), signature) for text in _texts(sent, date)):
        raise Fault("SignatureDoesNotMatch", "The signature is another one: check the secret of the access key.")
    return key


def check_body(sent: Sent) -> None:
    """Whether the body is the one that the head speaks of. Raises Fault InvalidDegist."""
    given = sent.headers.get("content-md5", "")
    digest = hashlib.md5(sent.body, usedforsecurity=False)
    made = {base64.b64encode(each).decode() for each in (digest.hexdigest().encode(), digest.digest())}
    if given and given not in made:
        raise Fault("InvalidDegist", "Content-MD5 is not that of the body: the Base64 of its hexadecimal MD5.")


def _key(find: Find, name: str, sent: Sent) -> Key:
    key = find(name)
    if key is None:
        raise Fault(
            "InvalidAccessKeyId", f"The access key {name[:100]!r} is not known: `pyfc keys` lists those that are."
        )
    if key.token and not is_same(key.token, sent.headers.get("security-token", "")):
        raise Fault("InvalidAccessKeyId", "The security token is not the one that belongs to this key.")
    return key


def _check_date(date: str, now: float) -> None:
    moment = seconds_of(date)
    if moment is None:
        raise Fault("InvalidDateHeader", "The Date header is missing, or no time like Sat, 28 Nov 2026 14:08:42 GMT.")
    if abs(moment - now) > SKEW:
        raise Fault("TimeExpired", "The time of the request is more than 15 minutes off.")


def _texts(sent: Sent, date: str) -> Iterable[str]:
    """What may have been signed: clients sign the resource as it is sent, or before they encode it."""
    headers = sent.headers
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-mns-"))
    head = (sent.method, headers.get("content-md5", ""), headers.get("content-type", ""), date)
    for resource in dict.fromkeys((sent.resource, as_header(unquote(sent.resource, errors="replace")))):
        yield "\n".join(head) + f"\n{own}{resource}"
