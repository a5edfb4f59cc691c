"""OSS's signatures, checked: V1, V2 and V4, each in a header or in the URL.

Written after OSS's documentation and what its clients send (tests/cloud). What is signed names bucket and key, so the
signature tells which of a request's readings is meant.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from pyfc.auth.keys import Key
from pyfc.auth.signature import SKEW, Find, is_same, seconds_of
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.model import Place
from pyfc.cloud.oss.request import Sent
from pyfc.cloud.signature import as_header, encoded, sign_v1, sign_v4

_LONGEST = 7 * 86400
"""Seconds for which a URL of V4 may be good."""
_V4 = "OSS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_V2_HEADER = re.compile(r"AccessKeyId:([^,]+),\s*(?:AdditionalHeaders:([^,]*),\s*)?Signature:(\S+)")
_FIELD = re.compile(r"(Credential|Signature|AdditionalHeaders)=([^,\s]*)")
_STAMP = "%Y%m%dT%H%M%SZ"
_NAMES = """
    accessPoint accessPointPolicy acl append asyncFetch bucketArchiveDirectRead bucketInfo callback callback-var
    cname comp continuation-token cors delete encryption endTime group httpsConfig inventory inventoryId lifecycle
    link live location logging metaQuery objectInfo objectMeta partNumber policy position publicAccessBlock qos
    qosInfo qosRequester redundancyTransition referer regionList replication replicationLocation replicationProgress
    requestPayment requesterQosInfo resourceGroup resourcePool resourcePoolBuckets resourcePoolInfo
    response-cache-control response-content-disposition response-content-encoding response-content-language
    response-content-type response-expires restore security-token sequential startTime stat status style styleName
    symlink tagging transferAcceleration uploadId uploads versionId versioning versions vod website worm wormExtend
    wormId x-oss-ac-forward-allow x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-access-point-name
    x-oss-async-process x-oss-process x-oss-redundancy-transition-taskid x-oss-request-payer
    x-oss-target-redundancy-type x-oss-traffic-limit x-oss-write-get-object-response
"""
_SIGNED = frozenset(_NAMES.split())
"""The parameters that V1 signs (oss2 2.19.1 has the same)."""


class _Claim(NamedTuple):
    """What a request says of its signature."""

    key: str
    """The access key's id."""
    token: str
    signature: str
    texts: Callable[[Place], Iterable[str]]
    """What may have been signed."""
    sign: Callable[[str, str], str]
    """The signature of a text with a secret."""


class Verified(NamedTuple):
    """Who asks, and for what."""

    key: Key | None
    """None for a request that is not signed."""
    place: Place


def verify(find: Find, sent: Sent, now: float) -> Verified:
    """Raises Fault InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed, AccessDenied for what has expired,
    InvalidArgument for a signature that cannot be read. What is not signed has the first of its readings.
    """
    places = sent.places
    claim = _claim(sent, now)
    if claim is None:
        return Verified(None, places[0])
    key = key_of(find, claim.key, claim.token)
    for place in places:
        if any(is_same(claim.sign(key.secret, text), claim.signature) for text in claim.texts(place)):
            return Verified(key, place)
    raise no_match(claim.key, claim.signature, next(iter(claim.texts(places[0]))))


def key_of(find: Find, name: str, token: str) -> Key:
    """The key with this id. Raises Fault InvalidAccessKeyId if there is none, or the token is not its own."""
    key = find(name)
    if key is None:
        raise Fault(
            "InvalidAccessKeyId",
            "The OSS Access Key Id you provided does not exist in our records.",
            more={"OSSAccessKeyId": name},
        )
    if key.token and not is_same(key.token, token):
        raise Fault("InvalidAccessKeyId", "The security token is not the one that belongs to this key.")
    return key


def no_match(name: str, signature: str, text: str) -> Fault:
    """A signature is not that of the text."""
    return Fault(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
        more={"OSSAccessKeyId": name, "SignatureProvided": signature, "StringToSign": text},
    )


def _claim(sent: Sent, now: float) -> _Claim | None:
    scheme, _, rest = sent.headers.get("authorization", "").partition(" ")
    if scheme == "OSS":
        return _v1(sent, rest, now)
    if scheme == "OSS2":
        return _v2(sent, rest, now)
    if scheme == _V4:
        return _v4(sent, rest, now)
    if scheme:
        raise Fault("InvalidArgument", "The Authorization header is of no kind that OSS has.")
    query = sent.query
    if "Signature" in query and "OSSAccessKeyId" in query:
        return _v1_url(sent, now)
    if query.get("x-oss-signature-version") == "OSS2":
        return _v2_url(sent, now)
    if query.get("x-oss-signature-version") == _V4:
        return _v4_url(sent, now)
    return None


# V1


def _v1(sent: Sent, rest: str, now: float) -> _Claim:
    name, _, signature = rest.strip().partition(":")
    date = sent.headers.get("x-oss-date") or sent.headers.get("date", "")
    _check_time(date, now)
    return _Claim(name, _token(sent), signature, lambda place: _v1_texts(sent, place, date), sign_v1)


def _v1_url(sent: Sent, now: float) -> _Claim:
    query = sent.query
    _check_expiry(query.get("Expires", ""), now)
    return _Claim(
        query["OSSAccessKeyId"], _token(sent), query["Signature"],
        lambda place: _v1_texts(sent, place, query["Expires"]), sign_v1,
    )  # fmt: skip


def _v1_texts(sent: Sent, place: Place, date: str) -> Iterable[str]:
    headers = sent.headers
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-oss-"))
    pairs = sorted((name, value) for name, value in sent.query.items() if name in _SIGNED)
    query = "&".join(f"{name}={as_header(value)}" if value else name for name, value in pairs)
    resource = as_header(f"/{place.bucket}/{place.key}" if place.bucket else "/") + (f"?{query}" if query else "")
    lines = (sent.method, headers.get("content-md5", ""), headers.get("content-type", ""), date, own + resource)
    return ["\n".join(lines)]


# V2


def _v2(sent: Sent, rest: str, now: float) -> _Claim:
    found = _V2_HEADER.fullmatch(rest.strip())
    if found is None:
        raise Fault("InvalidArgument", "The Authorization header is no signature of version 2.")
    date = sent.headers.get("date") or sent.headers.get("x-oss-date", "")
    _check_time(date, now)
    additional = _names(found[2])
    return _Claim(found[1], _token(sent), found[3], lambda place: _v2_texts(sent, place, date, additional), sign_v2)


def _v2_url(sent: Sent, now: float) -> _Claim:
    query = sent.query
    expires = query.get("x-oss-expires", "")
    _check_expiry(expires, now)
    additional = _names(query.get("x-oss-additional-headers", ""))
    return _Claim(
        query.get("x-oss-access-key-id", ""), _token(sent), query.get("x-oss-signature", ""),
        lambda place: _v2_texts(sent, place, expires, additional), sign_v2,
    )  # fmt: skip


def _v2_texts(sent: Sent, place: Place, date: str, additional: Sequence[str]) -> Iterable[str]:
    headers = sent.headers
    names = sorted(name for name in headers if name.startswith("x-oss-") or name in additional)
    own = "".join(f"{name}:{headers[name]}\n" for name in names)
    resource = encoded(f"/{place.bucket}/{place.key}" if place.bucket else "/")
    query = _canonical_query(sent)
    if query:
        resource += f"?{query}"
    head = (sent.method, headers.get("content-md5", ""), headers.get("content-type", ""), date)
    return ["\n".join(head) + f"\n{own}{';'.join(additional)}\n{resource}"]


def sign_v2(secret: str, text: str) -> str:
    """The signature of version 2."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode("latin-1"), hashlib.sha256).digest()).decode()


# V4


def _v4(sent: Sent, rest: str, now: float) -> _Claim:
    fields = dict(_FIELD.findall(rest))
    stamp = sent.headers.get("x-oss-date") or sent.headers.get("date", "")
    _check_time(stamp, now)
    return _v4_claim(sent, fields.get("Credential", ""), fields.get("Signature", ""), stamp, fields)


def _v4_url(sent: Sent, now: float) -> _Claim:
    query = sent.query
    stamp, seconds = query.get("x-oss-date", ""), query.get("x-oss-expires", "")
    begun = seconds_of(stamp)
    if begun is None or not re.fullmatch("[0-9]{1,7}", seconds) or not 0 < int(seconds) <= _LONGEST:
        raise Fault("InvalidArgument", "x-oss-date or x-oss-expires of the URL is no time that a URL can have.")
    if begun > now + SKEW:
        raise _skewed()
    if begun + int(seconds) < now:
        raise _expired()
    fields = {"AdditionalHeaders": query.get("x-oss-additional-headers", "")}
    return _v4_claim(sent, query.get("x-oss-credential", ""), query.get("x-oss-signature", ""), stamp, fields)


def _v4_claim(sent: Sent, credential: str, signature: str, stamp: str, fields: dict[str, str]) -> _Claim:
    name, scope, written = read_credential(credential, stamp)
    additional = _names(fields.get("AdditionalHeaders", ""))
    stamps = [written] if written == stamp else [written, stamp]  # Go's first client signs the Date header as it is

    def texts(place: Place) -> Iterable[str]:
        canonical = _v4_canonical(sent, place, additional).encode("latin-1")
        digest = hashlib.sha256(canonical).hexdigest()
        return [f"{_V4}\n{each}\n{scope}\n{digest}" for each in stamps]

    return _Claim(name, _token(sent), signature, texts, lambda secret, text: sign_v4(secret, scope, text))


def read_credential(credential: str, stamp: str) -> tuple[str, str, str]:
    """The id of the key, the scope that is signed with, and the time as V4 writes it. Raises Fault InvalidArgument."""
    name, _, scope = credential.partition("/")
    parts, moment = scope.split("/"), seconds_of(stamp)
    if len(parts) != 4 or parts[3] != "aliyun_v4_request" or moment is None:
        raise Fault("InvalidArgument", "The credential of the signature is not ID/DAY/REGION/oss/aliyun_v4_request.")
    written = datetime.fromtimestamp(moment, UTC).strftime(_STAMP)
    if written[:8] != parts[0]:
        raise Fault("InvalidArgument", "The day of the credential is another one than that of the request.")
    return name, scope, written


def _v4_canonical(sent: Sent, place: Place, additional: Sequence[str]) -> str:
    headers = sent.headers
    always = {"content-type", "content-md5"}
    names = sorted(name for name in headers if name.startswith("x-oss-") or name in always or name in additional)
    own = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    path = encoded(f"/{place.bucket}/{place.key}" if place.bucket else "/", safe="/")
    payload = headers.get("x-oss-content-sha256") or _UNSIGNED
    return "\n".join((sent.method, path, _canonical_query(sent), own, ";".join(additional), payload))


# what they share


def _canonical_query(sent: Sent) -> str:
    """Every parameter but the signature, encoded and in order; one without a value has no equals sign."""
    pairs = sorted((encoded(name), encoded(value)) for name, value in sent.query.items() if name != "x-oss-signature")
    return "&".join(f"{name}={value}" if value else name for name, value in pairs)


def _names(text: str | None) -> list[str]:
    """Names of headers that are signed besides."""
    return sorted(name.strip().lower() for name in (text or "").split(";") if name.strip())


def _token(sent: Sent) -> str:
    return (
        sent.headers.get("x-oss-security-token")
        or sent.query.get("x-oss-security-token")
        or sent.query.get("security-token", "")
    )


def _check_time(text: str, now: float) -> None:
    moment = seconds_of(text)
    if moment is None:
        raise Fault("AccessDenied", "OSS authentication requires a valid Date.")
    if abs(moment - now) > SKEW:
        raise _skewed()


def _check_expiry(text: str, now: float) -> None:
    if not re.fullmatch("[0-9]{1,12}", text):
        raise Fault("AccessDenied", "The time at which the URL expires is no number.")
    if int(text) < now:
        raise _expired()


def _skewed() -> Fault:
    return Fault(
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large: more than 15 minutes.",
    )


def _expired() -> Fault:
    return Fault("AccessDenied", "Request has expired.")
