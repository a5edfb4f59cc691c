"""A client of the message service, which signs as that of Python does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
from contextlib import closing
from email.utils import formatdate
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from pyfc.auth.keys import Key, Keys
from support import Server

SPACE = "http://mns.aliyuncs.com/doc/v1/"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def root(self) -> Element:
        return ElementTree.fromstring(self.body)

    @property
    def fields(self) -> dict[str, str]:
        """Of the root element."""
        return fields_of(self.root)

    @property
    def each(self) -> list[dict[str, str]]:
        """The fields of every element in the root."""
        return [fields_of(each) for each in self.root]

    @property
    def code(self) -> str:
        return self.fields["Code"]


def fields_of(element: Element) -> dict[str, str]:
    return {each.tag.rpartition("}")[2]: each.text or "" for each in element}


def xml(name: str, **fields: object) -> str:
    """An element with these in it; a value that begins with < is XML."""
    told = (
        f"<{key}>{value if str(value).startswith('<') else escape(str(value))}</{key}>" for key, value in fields.items()
    )
    return f'<{name} xmlns="{SPACE}">{"".join(told)}</{name}>'


def many(outer: str, inner: str) -> str:
    return f'<{outer} xmlns="{SPACE}">{inner}</{outer}>'


class Client:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.key: Key | None = Keys(server.data_dir).first()[0]
        self.connection: http.client.HTTPConnection | None = None

    def __call__(self, method: str, path: str, body: str | bytes = b"", **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else body.encode()
        fields = {"host": "1234567890123456.mns.cn-hangzhou.aliyuncs.com", "x-mns-version": "2015-06-06"}
        fields |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
        fields.setdefault("date", formatdate(usegmt=True))
        if data:
            fields.setdefault("content-type", "text/xml;charset=UTF-8")
            fields.setdefault("content-md5", base64.b64encode(hashlib.md5(data).hexdigest().encode()).decode())
        if self.key is not None:
            fields.setdefault("authorization", signature(self.key, method, path, fields))
        connection = self.connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=40)
        with closing(connection):
            connection.request(method, path, data, fields)
            response = connection.getresponse()
            return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())

    def create(self, path: str, **fields: object) -> Answer:
        """CreateQueue and CreateTopic, by their paths without the first slash."""
        name = {"queues": "Queue", "topics": "Topic"}[path.partition("/")[0]]
        return self("PUT", f"/{path}", xml(name, **fields))

    def send(self, queue: str, body: str, **fields: object) -> Answer:
        return self("POST", f"/queues/{queue}/messages", xml("Message", MessageBody=body, **fields))

    def receive(self, queue: str, wait: int = 0) -> Answer:
        return self("GET", f"/queues/{queue}/messages" + (f"?waitseconds={wait}" if wait else ""))

    def bodies(self, queue: str, count: int = 16) -> list[str]:
        """Received at once."""
        answer = self("GET", f"/queues/{queue}/messages?numOfMessages={count}")
        return [each["MessageBody"] for each in answer.each] if answer.status == 200 else []

    def delete(self, queue: str, handle: str) -> Answer:
        return self("DELETE", f"/queues/{queue}/messages?ReceiptHandle={handle}")


def signature(key: Key, method: str, path: str, fields: dict[str, str]) -> str:
    own = "".join(f"{each}:{fields[each]}\n" for each in sorted(fields) if each.startswith("x-mns-"))
    head = (method, fields.get("content-md5", ""), fields.get("content-type", ""), fields["date"])
    text = "\n".join(head) + f"\n{own}{path}"
    digest = hmac.new(key.secret.encode(), text.encode(), hashlib.sha1).digest()
    return f"MNS {key.id}:{base64.b64encode(digest).decode()}"
