"""Signed requests: FC's own signature (API 2016-08-15), ACS3-HMAC-SHA256 (API 2023-03-30), and signed URLs.

Written after FC's documentation of its signatures and the vectors that its clients produce (tests/auth). A request is
looked at as it was sent: header names in lower case, the target percent-encoded.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from pyfc.auth.keys import Key
from pyfc.auth.once import Once
from pyfc.errors import (
    AccessDenied,
    InvalidAccessKeyID,
    InvalidArgument,
    MissingRequiredHeader,
    RequestTimeTooSkewed,
    SignatureNotMatch,
)

SKEW = 15 * 60.0
"""Seconds that a request's time may be off (FC: 15 minutes)."""
_ACS3 = "ACS3-HMAC-SHA256"
_NONCE = "x-acs-signature-nonce"
_SECONDS = re.compile(r"[0-9]{1,15}")
_IN_URL = ("x-fc-access-key-id", "x-fc-expires", "x-fc-signature", "x-fc-security-token")
Find = Callable[[str], Key | None]


class Signed(NamedTuple):
    """A request, as far as signatures are about it."""

    method: str
    target: str
    """Path and query as they were sent."""
    fields: Mapping[str, str]
    """Headers, names in lower case."""
    is_trigger: bool = False
    """Whether it goes to an HTTP trigger: then its query is signed too."""
    body: bytes | None = None
    """None if it is not known."""

    @property
    def path(self) -> str:
        """Percent-encoded, without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What comes after the first `?`."""
        return self.target.partition("?")[2]


class Verifier:
    """Checks signatures with the keys of one server."""

    def __init__(self, find: Find, once: Once | None) -> None:
        """`once`: what was accepted before; None where a signature may be used again."""
        self.find = find
        self.once = once

    def verify(self, request: Signed) -> Key:
        """The key that the request is signed with. Raises what `verify` does, and SignatureUsed."""
        return verify(self.find, request, once=self.once)


def verify(find: Find, request: Signed, now: float | None = None, once: Once | None = None) -> Key:
    """The key that the request is signed with. Raises MissingRequiredHeader, InvalidAccessKeyID, SignatureNotMatch,
    RequestTimeTooSkewed, SignatureUsed.
    """
    now = time.time() if now is None else now
    given = request.fields.get("authorization", "")
    if not given and request.is_trigger and "x-fc-signature=" in request.query:
        return _verify_url(find, request, now)
    if not given:
        raise MissingRequiredHeader(header="Authorization")
    scheme, _, rest = given.partition(" ")
    if scheme == _ACS3:
        return _verify_acs3(find, request, rest, now, once)
    if scheme == "FC" and ":" in rest:
        return _verify_fc(find, request, rest, now, once)
    raise SignatureNotMatch


def _verify_fc(find: Find, request: Signed, rest: str, now: float, once: Once | None) -> Key:
    name, _, signature = rest.strip().partition(":")
    date = request.fields.get("x-fc-date") or request.fields.get("date", "")
    if not date:
        raise MissingRequiredHeader(header="Date")
    check_time(date, now)
    key = key_of(find, name, request.fields.get("x-fc-security-token", ""))
    pairs = parse_qsl(request.query, keep_blank_values=True)
    if not any(is_same(sign(key.secret, text), signature) for text in _texts(request, date, pairs)):
        raise SignatureNotMatch
    if once is not None:
        once.check(signature, now, has_nonce=False)
    return key


def is_same(made: str, given: str) -> bool:
    """Whether two signatures are the same; `given` may have any characters."""
    return hmac.compare_digest(made.encode(), given.encode("utf-8", "replace"))


def sign(secret: str, text: str) -> str:
    """FC's signature of a text."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def string_to_sign(
    request: Signed, date: str, query: Sequence[str] | None = None, decode: Callable[[str], str] = unquote
) -> str:
    """What FC's clients sign. `query`: `name=value` of each parameter, for HTTP triggers. `decode` of the path."""
    fields = request.fields
    own = "".join(f"{name}:{fields[name]}\n" for name in sorted(fields) if name.startswith("x-fc-"))
    resource = decode(request.path)
    if query is not None:
        resource += "\n" + "\n".join(sorted(query))
    lines = (request.method, fields.get("content-md5", ""), fields.get("content-type", ""), date, own + resource)
    return "\n".join(lines)


def authorization(key: Key, request: Signed, date: str, query: Sequence[str] | None = None) -> str:
    """The Authorization header of a request to the management API or of a call. `query`: see string_to_sign."""
    return f"FC {key.id}:{sign(key.secret, string_to_sign(request, date, query))}"


def sign_url(key: Key, path: str, expires: int) -> str:
    """Path and query that may be asked for with GET until `expires` (seconds since the epoch), without a header."""
    query = [f"x-fc-access-key-id={key.id}", f"x-fc-expires={expires}"]
    text = string_to_sign(Signed("GET", path, {}), str(expires), query)
    return f"{path}?{'&'.join(query)}&x-fc-signature={quote(sign(key.secret, text), safe='')}"


def _texts(request: Signed, date: str, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What may have been signed: clients sign a path decoded, and FC's for Go signs it as it is sent."""
    for decode in (unquote, str) if "%" in request.path else (unquote,):
        for query in _variants(request, pairs):
            yield string_to_sign(request, date, query, decode)


def _variants(request: Signed, pairs: Sequence[tuple[str, str]]) -> list[list[str] | None]:
    """Clients differ in how they sign a parameter without a value."""
    if not request.is_trigger:
        return [None]
    whole = [f"{name}={value}" for name, value in pairs]
    bare = [f"{name}={value}" if value else name for name, value in pairs]
    return [whole] if whole == bare else [whole, bare]


def _verify_url(find: Find, request: Signed, now: float) -> Key:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    name, expires, signature, token = ({**dict(pairs)}.get(each, "") for each in _IN_URL)
    key = key_of(find, name, token)
    signed = [(each, value) for each, value in pairs if each != "x-fc-signature"]
    if not any(is_same(sign(key.secret, text), signature) for text in _texts(request, expires, signed)):
        raise SignatureNotMatch
    if not _SECONDS.fullmatch(expires) or int(expires) < now:
        raise RequestTimeTooSkewed(date=expires[:100], now=int(now))
    return key


def _verify_acs3(find: Find, request: Signed, rest: str, now: float, once: Once | None) -> Key:
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    names, signature = parts.get("SignedHeaders", "").split(";"), parts.get("Signature", "")
    fields = request.fields
    if "x-acs-date" not in fields:
        raise MissingRequiredHeader(header="x-acs-date")
    check_time(fields["x-acs-date"], now)
    key = key_of(find, parts.get("Credential", ""), fields.get("x-acs-security-token", ""))
    digest = fields.get("x-acs-content-sha256", "")
    if not {"x-acs-date", "x-acs-content-sha256"} <= set(names):
        raise SignatureNotMatch  # else another time or body would do
    if not any(is_same(_sign_acs3(key.secret, text), signature) for text in _canonical(request, names, digest)):
        raise SignatureNotMatch
    check_body(request)
    if once is not None:
        once.check(signature, now, has_nonce=bool(fields.get(_NONCE)) and _NONCE in names)
    return key


def check_body(request: Signed) -> None:
    """Raises SignatureNotMatch if the body is there and not the one that was signed, where bodies are (ACS3)."""
    is_signed = request.fields.get("authorization", "").startswith(f"{_ACS3} ")
    if not is_signed or request.body is None:
        return
    if not is_same(hashlib.sha256(request.body).hexdigest(), request.fields.get("x-acs-content-sha256", "")):
        raise SignatureNotMatch


def _canonical(request: Signed, names: Sequence[str], digest: str) -> Iterator[str]:
    """What ACS3's clients sign: they differ in what of the path they encode."""
    headers = "".join(f"{name}:{' '.join(request.fields.get(name, '').split())}\n" for name in sorted(names))
    pairs = parse_qsl(request.query, keep_blank_values=True)
    query = "&".join(sorted(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs))
    for path in dict.fromkeys((request.path, quote(unquote(request.path), safe="/-_.~"))):
        yield f"{request.method}\n{path}\n{query}\n{headers}\n{';'.join(sorted(names))}\n{digest}"


def _sign_acs3(secret: str, canonical: str) -> str:
    text = f"{_ACS3}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def key_of(find: Find, name: str, token: str) -> Key:
    """The key with this id, whose security token is right if it has one. Raises InvalidAccessKeyID, AccessDenied."""
    key = find(name)
    if key is None:
        raise InvalidAccessKeyID(key=name[:128])
    if key.token and not is_same(key.token, token):
        raise AccessDenied(message="the security token does not belong to the access key, or has expired")
    return key


def seconds_of(text: str) -> float | None:
    """A time of a header, as HTTP or ISO 8601 writes it, in seconds since the epoch; None for what is none."""
    try:
        is_iso = text[:4].isdigit() and "T" in text
        time = datetime.fromisoformat(text) if is_iso else parsedate_to_datetime(text)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):  # the last three: what the parser of mails raises too
        return None


def check_time(text: str, now: float) -> None:
    """Raises RequestTimeTooSkewed, or InvalidArgument for what is no time."""
    seconds = seconds_of(text)
    if seconds is None:
        raise InvalidArgument(message=f"'{text[:100]}' is no time: it must be like Mon, 23 Nov 2026 14:08:42 GMT")
    if abs(seconds - now) > SKEW:
        shown = datetime.fromtimestamp(now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        raise RequestTimeTooSkewed(date=text[:100], now=shown)
