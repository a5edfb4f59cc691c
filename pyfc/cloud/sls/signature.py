"""SLS's signatures, checked: V1 and V4, both in a header.

Written after what its clients send (tests/cloud/test_sls_signature.py). Clients differ in whether V1 covers x-log-date:
that of Python adds the header after it has signed. A text is taken only if its time is among what was signed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from pyfc.auth.keys import Key
from pyfc.auth.signature import SKEW, Find, is_same, seconds_of
from pyfc.cloud.signature import as_header, encoded, sign_v1, sign_v4
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.request import Sent

_V1 = ("LOG", "SLS")
"""Its second name is that of the client for Go."""
_V4 = "SLS4-HMAC-SHA256"
_V4_FIELDS = re.compile(
    r"Credential=([^/,\s]+)/([0-9]{8})/([^/,\s]*)/(sls/aliyun_v4_request)\s*,\s*Signature=([0-9a-f]{64})"
)
_DATE = "x-log-date"


def verify(find: Find, sent: Sent, now: float) -> Key:
    """Whose key has signed the head of a request. Raises Fault Unauthorized, SignatureNotMatch, RequestTimeExpired,
    ParameterInvalid.
    """
    scheme, _, rest = sent.headers.get("authorization", "").partition(" ")
    if scheme in _V1:
        return _verify_v1(find, sent, rest, now)
    if scheme == _V4:
        return _verify_v4(find, sent, rest, now)
    raise Fault("Unauthorized", "The request is not signed: give the client an access key (`pyfc keys`).")


def check_body(sent: Sent) -> None:
    """Whether the body is the one that the head speaks of. Raises Fault SignatureNotMatch."""
    if sent.headers.get("authorization", "").startswith(_V4):
        if sent.headers.get("x-log-content-sha256", "").lower() != hashlib.sha256(sent.body).hexdigest():
            raise Fault("SignatureNotMatch", "x-log-content-sha256 is not the SHA-256 of the body as it was sent.")
        return
    digest = sent.headers.get("content-md5", "")
    if (sent.body or digest) and digest.upper() != hashlib.md5(sent.body, usedforsecurity=False).hexdigest().upper():
        message = "Content-MD5 is not the upper-case hexadecimal MD5 of the body as it was sent."
        raise Fault("SignatureNotMatch", message)


def _verify_v1(find: Find, sent: Sent, rest: str, now: float) -> Key:
    name, _, signature = rest.strip().rpartition(":")
    key = _key(find, name, sent)
    texts = [text for time, text in _v1_texts(sent) if _is_now(time, now)]
    if not texts:
        raise Fault("RequestTimeExpired", "The time of the request is missing, or more than 15 minutes off.")
    return _matched(key, (sign_v1(key.secret, text) for text in texts), signature)


def _v1_texts(sent: Sent) -> Iterable[tuple[str, str]]:
    """What may have been signed, each with the time in it."""
    headers = sent.headers
    own = {name: headers[name] for name in sorted(headers) if _is_own(name)}
    date, own_date = headers.get("date", ""), own.get(_DATE, "")
    without = {name: value for name, value in own.items() if name != _DATE}
    yield date, _v1_text(sent, date, own)
    yield date, _v1_text(sent, date, without)
    yield own_date, _v1_text(sent, own_date, own)
    yield own_date, _v1_text(sent, own_date, without)


def _v1_text(sent: Sent, date: str, own: Mapping[str, str]) -> str:
    head = (sent.method, sent.headers.get("content-md5", ""), sent.headers.get("content-type", ""), date)
    lines = "".join(f"{name}:{value}\n" for name, value in own.items())
    query = "&".join(f"{name}={value}" for name, value in sorted(sent.query.items()))
    return "\n".join(head) + f"\n{lines}" + as_header(sent.path + (f"?{query}" if query else ""))


def _verify_v4(find: Find, sent: Sent, rest: str, now: float) -> Key:
    found = _V4_FIELDS.fullmatch(rest.strip())
    if found is None:
        raise Fault("ParameterInvalid", "Authorization must have Credential=ID/DATE/REGION/sls/aliyun_v4_request.")
    name, day, region, ending, signature = found.groups()
    key, stamp = _key(find, name, sent), sent.headers.get(_DATE, "")
    if not _is_now(stamp, now) or not stamp.startswith(day):
        raise Fault("RequestTimeExpired", "x-log-date is missing, of another day than the key's, or 15 minutes off.")
    payload = sent.headers.get("x-log-content-sha256", "")
    scope = f"{day}/{region}/{ending}"
    texts = (
        f"{_V4}\n{stamp}\n{scope}\n{hashlib.sha256(_v4_request(sent, host, payload)).hexdigest()}"
        for host in {sent.host, sent.host.partition(":")[0]}
    )
    return _matched(key, (sign_v4(key.secret, scope, text) for text in texts), signature)


def _v4_request(sent: Sent, host: str, payload: str) -> bytes:
    """The request in its canonical form. A proxy's target has a port also where the client has signed none."""
    query = sorted((encoded(name), encoded(value)) for name, value in sent.query.items())
    signed = {"host": host} | {
        name: value.strip() for name, value in sent.headers.items() if name == "content-type" or _is_own(name)
    }
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    pairs = "&".join(f"{name}={value}" if value else name for name, value in query)
    text = "\n".join((sent.method, as_header(sent.path), pairs, lines, ";".join(sorted(signed)), payload))
    return text.encode("latin-1")


def _matched(key: Key, made: Iterable[str], signature: str) -> Key:
    if any(is_same(each, signature) for each in made):
        return key
    raise Fault("SignatureNotMatch", f"signature {signature[:200]} not match: check the secret and the system's clock")


def _key(find: Find, name: str, sent: Sent) -> Key:
    key = find(name)
    if key is None:
        raise Fault("Unauthorized", f"AccessKeyId not found: {name[:200]}")
    token = sent.headers.get("x-acs-security-token", "")
    if key.token and not is_same(key.token, token):
        raise Fault("Unauthorized", "The security token is not the one that belongs to this key.")
    return key


def _is_own(name: str) -> bool:
    return name.startswith(("x-log-", "x-acs-")) and not name.startswith("x-log-meta-")


def _is_now(text: str, now: float) -> bool:
    moment = seconds_of(text)
    return moment is not None and abs(moment - now) <= SKEW
