"""Upload callbacks: when an object is there, OSS tells an address that the client has named, and what that answers
becomes the client's answer. What OSS signs such a request with (its own RSA key, by `x-oss-pub-key-url`) nobody else
can make: these are not signed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from pyfc.cloud.oss.asked import Answer, Asked, written_headers
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.model import NORMAL, Object
from pyfc.errors import NotReached
from pyfc.outgoing.client import check_url

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_LARGEST = 5 * 1024
"""Bytes of each of the two parameters."""
_MOST_URLS = 5
_VARIABLE = re.compile(r"\$\{([^${}]{1,256})\}")
_OWN = "x:"
"""How names of the client's own variables begin."""
_SUCCESS = 200


class _Said(msgspec.Struct, rename="camel"):
    """What a client says, in OSS's names."""

    callback_url: str
    callback_body: str
    callback_body_type: Literal["application/x-www-form-urlencoded", "application/json"] = _FORM
    callback_host: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:\[\]-]{1,255}\Z")] = ""


class Callback(NamedTuple):
    """What a client wants to have told, and whom."""

    urls: tuple[str, ...]
    """The first that answers is enough."""
    body: str
    """With ${variables}."""
    type: str
    """Of the body."""
    host: str
    """'' for that of the address."""
    own: Mapping[str, str]
    """The client's own variables, by name."""


def callback_of(asked: Asked, own: Mapping[str, str] | None = None) -> Callback | None:
    """What a request says of a callback, in a header or a parameter; None if there is to be none. `own`: variables,
    where they are not a parameter too. Raises Fault InvalidArgument, AccessDenied for who may have nobody asked.
    """
    text = asked.headers.get("x-oss-callback") or asked.query.get("callback", "")
    if not text:
        return None
    said = _decoded(text, "callback")
    if not said.get("callbackUrl"):
        return None
    if not asked.calls_back:
        raise Fault("AccessDenied", "A callback needs a signed request, and of a function one that has internetAccess.")
    if own is None:
        variables = asked.headers.get("x-oss-callback-var") or asked.query.get("callback-var", "")
        own = _own(_decoded(variables, "callback-var")) if variables else {}
    return _read(said, own)


def _read(said: Mapping[str, Any], own: Mapping[str, str]) -> Callback:
    try:
        found = msgspec.convert({name: value for name, value in said.items() if value not in ("", None)}, _Said)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), "callback") from None
    urls = tuple(_url(each.strip()) for each in found.callback_url.split(";") if each.strip())
    if not 1 <= len(urls) <= _MOST_URLS:
        raise _invalid(f"callbackUrl has 1 to {_MOST_URLS} addresses", "callback")
    return Callback(urls, found.callback_body, found.callback_body_type, found.callback_host, own)


def _url(text: str) -> str:
    url = text if "://" in text else f"http://{text}"
    try:
        check_url(url)
    except NotReached as error:
        raise _invalid(f"callbackUrl can not be asked: {error}", "callback") from None
    return url


def _own(said: Mapping[str, Any]) -> dict[str, str]:
    if any(not name.startswith(_OWN) or not isinstance(value, str) for name, value in said.items()):
        raise _invalid(f"names begin with {_OWN}, and values are texts", "callback-var")
    return dict(said)


def _decoded(text: str, name: str) -> dict[str, Any]:
    if len(text) > _LARGEST:
        raise _invalid(f"it has more than {_LARGEST} bytes", name)
    try:
        data = base64.b64decode(text.encode("latin-1"), validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("it is not base64 encoded", name) from None
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise _invalid("it is not in JSON format", name)
    return said


def _invalid(what: str, name: str) -> Fault:
    told = f"The {name} configuration is not valid: {what}."
    return Fault("InvalidArgument", told, more={"ArgumentName": name})


async def called_back(asked: Asked, callback: Callback, made: Object, operation: str) -> Answer:
    """Tell of an object, and answer what is answered. Raises Fault CallbackFailed; the object stays."""
    body = filled(callback, _variables(asked, made, operation)).encode("utf-8", "surrogatepass")
    headers = {"Content-Type": callback.type, "User-Agent": "pyfc", "x-oss-request-id": asked.sent.request_id}
    if callback.host:
        headers["Host"] = callback.host
    problem = ""
    for url in callback.urls:
        try:
            answered = await asked.environment.outgoing.post(url, body, headers)
        except NotReached as error:
            problem = str(error)
            continue
        if answered.status == _SUCCESS:
            if not _is_json(answered.body):
                raise Fault("CallbackFailed", "Response body is not valid json format.")
            return Answer(_SUCCESS, {**written_headers(made), "Content-Type": _JSON}, answered.body)
        problem = f"Error status : {answered.status}."
    raise Fault("CallbackFailed", problem)


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _variables(asked: Asked, made: Object, operation: str) -> dict[str, str]:
    size, etag, crc = made.content
    return {
        "bucket": made.bucket,
        "object": made.key,
        "etag": etag,
        "size": str(size),
        "mimeType": made.description.headers.get("content-type", "application/octet-stream"),
        "crc64": str(crc),
        "contentMd5": base64.b64encode(bytes.fromhex(etag)).decode() if made.type == NORMAL else "",
        "clientIp": asked.sent.address,
        "reqId": asked.sent.request_id,
        "operation": operation,
    }


def filled(callback: Callback, variables: Mapping[str, str]) -> str:
    """The body with what its variables mean: encoded as its type has it, '' for what there is none of."""

    def meant(found: re.Match[str]) -> str:
        name = found[1]
        value = callback.own.get(name, "") if name.startswith(_OWN) else variables.get(name, "")
        if callback.type == _FORM:
            return quote(value.encode("utf-8", "surrogatepass"), safe="")
        return value if name == "size" else json.dumps(value, ensure_ascii=False)

    return _VARIABLE.sub(meant, callback.body)
