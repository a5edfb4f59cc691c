"""A client of the object store that signs by version 1."""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import formatdate
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from pyfc.auth.keys import Key, Keys
from support import Response, Server

BUCKET = "photos"


class Answer(Response):
    @property
    def code(self) -> str:
        return self.text("Code")

    def text(self, name: str) -> str:
        found = ElementTree.fromstring(self.body).find(f".//{name}")
        assert found is not None, self.body
        return found.text or ""

    def texts(self, name: str) -> list[str]:
        return [found.text or "" for found in ElementTree.fromstring(self.body).iter(name)]


class Client:
    """Signs by version 1."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key: Key | None = Keys(server.data_dir).first()[0]

    def __call__(
        self, method: str, key: str = "", query: str = "", body: object = b"", bucket: str = BUCKET, **headers: str
    ) -> Answer:
        fields = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        path = f"/{bucket}/{quote(key, safe='')}" if bucket else "/"
        if self.key is not None:
            fields["date"] = fields.get("date", formatdate(usegmt=True))
            fields["authorization"] = self._authorization(self.key, method, key, query, bucket, fields)
        return Answer.lowered(self.server.request(method, f"{path}?{query}" if query else path, body, fields))

    def _authorization(self, key: Key, method: str, name: str, query: str, bucket: str, fields: dict[str, str]) -> str:
        own = "".join(f"{each}:{fields[each]}\n" for each in sorted(fields) if each.startswith("x-oss-"))
        signed = {"acl", "append", "position", "uploads", "uploadId", "partNumber", "delete", "tagging", "objectMeta",
                  "bucketInfo", "location", "stat", "lifecycle", "symlink", "continuation-token",
                  "x-oss-process"}  # fmt: skip
        parts = sorted(unquote(each) for each in query.split("&") if each.partition("=")[0] in signed)
        resource = (f"/{bucket}/{name}" if bucket else "/") + (f"?{'&'.join(parts)}" if parts else "")
        head = (method, fields.get("content-md5", ""), fields.get("content-type", ""), fields["date"])
        text = "\n".join(head) + f"\n{own}{resource}"
        digest = hmac.new(key.secret.encode(), text.encode(), hashlib.sha1).digest()
        return f"OSS {key.id}:{base64.b64encode(digest).decode()}"
