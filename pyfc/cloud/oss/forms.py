"""Forms with a file (multipart/form-data), read while they come: what stands before the file is kept, that passes."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pyfc.cloud.oss.faults import Fault

_FORM = b"multipart/form-data"
_FILE = "file"
_MOST_FIELDS, _LARGEST, _LARGEST_ALL = 100, 32 * 1024, 128 * 1024
"""Fields before the file; bytes of one, and of all."""
_TAIL = 1024 * 1024
"""Bytes that may come after the file."""


def is_form(content_type: str) -> bool:
    """Whether a body is such a form."""
    return content_type.lower().startswith(_FORM.decode())


class _Part(NamedTuple):
    """The head of one part."""

    name: str
    file_name: str
    type: str


class Form:
    """One form."""

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes]) -> None:
        """Raises Fault MalformedPOSTRequest."""
        kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
        if kind != _FORM or not options.get(b"boundary"):
            raise _malformed()
        self.fields: dict[str, bytes] = {}
        """What stands before the file, by its name in lower case; of several with one name the first."""
        self.file_name = ""
        """As the client has it."""
        self.file_type = ""
        self._chunks = chunks
        self._came = 0
        self._happened: deque[tuple[str, bytes]] = deque()
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_header_field": partial(self._data, "field"),
                    "on_header_value": partial(self._data, "value"),
                    "on_header_end": partial(self._mark, "header"),
                    "on_headers_finished": partial(self._mark, "head"),
                    "on_part_data": partial(self._data, "data"),
                    "on_part_end": partial(self._mark, "part"),
                    "on_end": partial(self._mark, "end"),
                },
            )
        except FormParserError:
            raise _malformed() from None

    def text(self, name: str) -> str:
        """A field; '' if there is none. Raises Fault InvalidArgument for what is no UTF-8."""
        try:
            return self.fields.get(name, b"").decode()
        except UnicodeDecodeError:
            raise Fault("InvalidArgument", f"The field {name} is no UTF-8.", more={"ArgumentName": name}) from None

    async def read(self) -> None:
        """Read what stands before the content of the file. Raises Fault."""
        size = 0
        for _ in range(_MOST_FIELDS + 1):
            part = await self._head()
            if part.name == _FILE:
                self.file_name, self.file_type = part.file_name, part.type
                return
            value = b"".join([piece async for piece in self._content(_LARGEST)])
            size += len(value)
            self.fields.setdefault(part.name, value)
            if size > _LARGEST_ALL:
                break
        raise Fault("FieldItemTooLong", f"A form has at most {_MOST_FIELDS} fields of {_LARGEST_ALL} bytes together.")

    async def content(self) -> AsyncIterator[bytes]:
        """The content of the file, after `read`. It ends when the form does. Raises Fault for one that has no end."""
        async for piece in self._content():
            yield piece
        most = self._came + _TAIL
        while (await self._next())[0] != "end":
            if self._came > most:
                raise _malformed()

    async def _head(self) -> _Part:
        headers: dict[bytes, bytes] = {}
        name = value = b""
        while True:
            kind, data = await self._next()
            if kind == "field":
                name += data
            elif kind == "value":
                value += data
            elif kind == "header":
                headers[name.lower()], name, value = value, b"", b""
            elif kind == "head":
                return _part(headers)
            elif kind == "end":
                raise Fault("IncorrectNumberOfFilesInPOSTRequest", "POST requires exactly one file upload per request.")

    async def _content(self, most: int = 0) -> AsyncIterator[bytes]:
        """What is in a part. Raises Fault FieldItemTooLong for one with more bytes than `most`; 0 means any number."""
        size = 0
        while True:
            kind, data = await self._next()
            if kind == "part":
                return
            size += len(data)
            if most and size > most:
                raise Fault("FieldItemTooLong", f"A field of a form has at most {most} bytes.")
            yield data

    async def _next(self) -> tuple[str, bytes]:
        while not self._happened:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                raise _malformed()
            self._came += len(chunk)
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise _malformed() from None
        return self._happened.popleft()

    def _data(self, kind: str, data: bytes, start: int, end: int) -> None:
        self._happened.append((kind, data[start:end]))

    def _mark(self, kind: str) -> None:
        self._happened.append((kind, b""))


def _part(headers: dict[bytes, bytes]) -> _Part:
    _, options = parse_options_header(headers.get(b"content-disposition", b""))
    name = options.get(b"name", b"").decode("utf-8", "replace").lower()
    if not name:
        raise _malformed()
    file_name = options.get(b"filename", b"").decode("utf-8", "replace")
    return _Part(name, file_name, headers.get(b"content-type", b"").decode("latin-1"))


def _malformed() -> Fault:
    return Fault("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
