"""PostObject: a form uploads a file. What is signed is not the request but its policy, which says what it may hold."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlencode

from pyfc.auth.keys import Key
from pyfc.auth.signature import Find
from pyfc.cloud.oss.asked import Answer, Asked, may_tag, written_headers, xml
from pyfc.cloud.oss.callback import callback_of, called_back
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.forms import Form
from pyfc.cloud.oss.model import Place
from pyfc.cloud.oss.policy import Range, checked, verified
from pyfc.cloud.oss.request import Sent, check_key
from pyfc.errors import NotReached
from pyfc.model.bucket import POST
from pyfc.outgoing.client import check_url

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FILE_NAME = "${filename}"
_STATUS = ("200", "201", "204")
_REDIRECT = "success_action_redirect"


class Posted(NamedTuple):
    """A form, as a put would have it."""

    key: Key | None
    """Who has signed it, None for nobody."""
    place: Place
    sent: Sent
    """With the form's fields as headers."""
    content: AsyncIterator[bytes]
    """The file."""


async def read_post(find: Find | None, sent: Sent, bucket: str, chunks: AsyncIterator[bytes], now: float) -> Posted:
    """Read a form until its file begins, and compare it with its policy. `find`: a key by its id; None where nobody has
    to sign. Raises Fault.
    """
    form = Form(sent.headers.get("content-type", ""), chunks)
    await form.read()
    key = verified(find, form.text) if find is not None else None
    name = _key(form)
    own = {"bucket": bucket, "key": name, "content-type": _content_type(form)}
    size = checked(lambda field: own[field] if field in own else form.text(field), now)
    headers = {**_headers(form), "host": sent.headers.get("host", "")}
    return Posted(key, Place(bucket, name), sent._replace(headers=headers), _bounded(form.content(), size))


def _key(form: Form) -> str:
    """The key that a form writes. Raises Fault InvalidArgument, InvalidObjectName."""
    key = form.text("key").replace(_FILE_NAME, re.split(r"[/\\]", form.file_name)[-1])
    if not key:
        told = 'Bucket POST must contain a field named "key". If it is specified, please check the order of the fields.'
        raise Fault("InvalidArgument", told, more={"ArgumentName": "key"})
    check_key(key)
    return key


def _content_type(form: Form) -> str:
    """The Content-Type of the object."""
    return form.text("x-oss-content-type") or form.file_type or form.text("content-type")


def _headers(form: Form) -> dict[str, str]:
    """The fields as the headers of a put have them. Raises Fault InvalidArgument for what can be in no header."""
    found = {name: value.decode("latin-1").strip() for name, value in form.fields.items()}
    found["content-type"] = _content_type(form).encode().decode("latin-1")
    for name, value in found.items():
        if _CONTROL.search(value) or not name.isascii() or any(each in name for each in " :\r\n\t"):
            raise Fault("InvalidArgument", "A field has characters that no header has.", more={"ArgumentName": name})
    if not found["content-type"]:
        del found["content-type"]
    if "callback" in found:
        found["x-oss-callback"] = found["callback"]
    return found


async def _bounded(content: AsyncIterator[bytes], size: Range) -> AsyncIterator[bytes]:
    """A file. Raises Fault EntityTooSmall, EntityTooLarge."""
    came = 0
    async for piece in content:
        came += len(piece)
        if came > size.most:
            raise Fault("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
        yield piece
    if came < size.least:
        raise Fault("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size.")


async def post_object(asked: Asked) -> Answer:
    """POST /BUCKET with a form; the fields are the headers, the file is the content."""
    own = {name: value.encode("latin-1").decode("utf-8", "replace") for name, value in asked.headers.items()}
    await may_tag(asked)
    callback = callback_of(asked, {name: value for name, value in own.items() if name.startswith("x:")})
    redirect = _redirect(own.get(_REDIRECT, ""))
    made = await asked.store.put(
        asked.place, asked.chunks, asked.description, cause=asked.cause(POST), may_replace=asked.may_replace
    )
    if callback is not None:
        return await called_back(asked, callback, made, "PostObject")
    told = written_headers(made)
    if redirect:
        query = urlencode({"bucket": made.bucket, "key": made.key, "etag": f'"{made.content.etag}"'})
        return Answer(303, {**told, "Location": f"{redirect}{'&' if '?' in redirect else '?'}{query}"})
    status = own.get("success_action_status", "")
    if status != "201":
        return Answer(int(status) if status in _STATUS else 204, told)
    location = f"http://{asked.sent.host}/{made.key}"
    answer = xml(
        "PostResponse",
        [("Bucket", made.bucket), ("ETag", f'"{made.content.etag}"'), ("Key", made.key), ("Location", location)],
        told,
    )
    return answer._replace(status=201)


def _redirect(url: str) -> str:
    """Where the client is sent afterwards. Raises Fault InvalidArgument."""
    try:
        if url:
            check_url(url)
    except NotReached as error:
        raise Fault(
            "InvalidArgument", f"{_REDIRECT} is no address: {error}", more={"ArgumentName": _REDIRECT}
        ) from None
    return url
